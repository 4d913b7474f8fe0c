"""Inference from Python: a trained network as a function of images."""
