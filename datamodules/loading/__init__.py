"""Sampling, loader processes and augmentation seeds."""
