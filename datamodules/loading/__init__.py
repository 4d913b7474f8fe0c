"""Batches of keys, data loaders, and parallel work on files."""
