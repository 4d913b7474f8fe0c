"""Writes the painting to a file."""

from pathlib import Path

from PIL import Image

from datamodules.io.atomic_file import atomic_file
from datamodules.samples.painting.render import paint_night

PAINTING = 2  # version of the image; increase it when it changes


def ensure_sample_painting(folder: Path, *, seed: int = 0) -> Path:
    """Renders the night landscape to ``folder`` unless it exists.

    The file appears whole or not at all, so two processes may paint it at once.

    Returns:
        The image, a PNG.
    """
    target = folder / f"night-{PAINTING}-seed{seed}.png"
    if target.is_file():
        return target
    with atomic_file(target) as file:
        Image.fromarray(paint_night(seed, progress=True)).save(file, "PNG")
    return target
