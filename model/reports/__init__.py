"""Reports: pictures, tables and self-contained pages of runs and of sets of experiments."""
