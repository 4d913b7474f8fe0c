"""A night landscape that the project paints by itself, to learn a manner from without any data."""

from datamodules.samples.painting.render import paint_night
from datamodules.samples.painting.write import ensure_sample_painting

__all__ = ["ensure_sample_painting", "paint_night"]
