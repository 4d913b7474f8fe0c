"""Losses of the three tasks and the networks they use."""
