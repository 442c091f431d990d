"""Benchmarks: what each image loader reaches on this machine, and what the machine allows."""
