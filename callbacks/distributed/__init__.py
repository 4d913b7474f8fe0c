"""Processes of a distributed run: launch, supervision and errors."""
