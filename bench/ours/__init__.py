"""Processes that the benchmark starts on this software itself; they may import everything."""
