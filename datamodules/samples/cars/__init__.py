"""Renders a small Carvana-like data set."""

from datamodules.samples.cars.render import draw_car
from datamodules.samples.cars.write import ensure_sample_cars

__all__ = ["draw_car", "ensure_sample_cars"]
