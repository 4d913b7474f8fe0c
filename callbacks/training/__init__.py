"""Callbacks that change what is trained: stages, initialization, averages, checks."""
