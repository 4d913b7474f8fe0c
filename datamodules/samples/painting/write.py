"""Keeps the painting as a file."""

from pathlib import Path

from PIL import Image

from datamodules.io.atomic_file import atomic_file
from datamodules.samples.painting.render import paint_night

PAINTING = 2  # raise it whenever the image changes, so that an older one is not taken for the new one


def ensure_sample_painting(folder: Path, *, seed: int = 0) -> Path:
    """Paints the night landscape into ``folder`` unless it is there already.

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
