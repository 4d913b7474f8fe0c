"""Prepared copies of a data set."""
