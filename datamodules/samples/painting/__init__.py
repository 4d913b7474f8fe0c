"""Renders a night landscape, the style image of a run without data."""

from datamodules.samples.painting.render import paint_night
from datamodules.samples.painting.write import ensure_sample_painting

__all__ = ["ensure_sample_painting", "paint_night"]
