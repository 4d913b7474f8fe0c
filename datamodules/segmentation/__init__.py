"""Data modules of images with masks."""
