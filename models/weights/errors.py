"""Errors about weights."""


class WeightsError(ValueError):
    """Weights that cannot be had, cannot be read, or do not fit the network; the message names the way out."""
