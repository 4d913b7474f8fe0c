"""Data on disk to batches: pairs, splits, transforms, caches and sample data."""
