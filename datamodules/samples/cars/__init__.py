"""A small Carvana-like set of images that the project draws by itself."""

from datamodules.samples.cars.render import draw_car
from datamodules.samples.cars.write import ensure_sample_cars

__all__ = ["draw_car", "ensure_sample_cars"]
