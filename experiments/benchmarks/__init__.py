"""Benchmarks of speed and quality; each module prints a table."""
