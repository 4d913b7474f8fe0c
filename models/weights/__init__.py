"""Pretrained weights and partial loading."""
