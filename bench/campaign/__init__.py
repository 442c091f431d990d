"""Faults made on purpose, and what the commands do about them: `python -m bench.campaign`."""
