"""Labeling of images in the browser, with masks on disk and networks trained between the strokes."""
