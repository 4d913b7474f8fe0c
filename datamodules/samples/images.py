"""Images for a first run without any data: those that scikit-image ships, with three held out whole."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Held out: fur, a still life and a far landscape, of which nothing is in the training images.
HELD_OUT = ("chelsea", "coffee", "rocket")
TRAINING = ("astronaut", "brick", "camera", "grass", "gravel")
_READY = "ready-1"  # raise the number when the images change


def ensure_sample_images(folder: Path) -> Path:
    """Writes the sample into ``folder/train`` and ``folder/val`` as PNG, unless it is there.

    All of them lie in scikit-image's package, most in the public domain or CC0; nothing is downloaded. Brick, camera,
    grass and gravel are gray, the others in color.

    Returns:
        ``folder``.
    """
    if (folder / _READY).exists():
        return folder
    from skimage import data  # takes a second to import, and is needed once

    left, right, _ = data.stereo_motorcycle()
    images = {f"train/{name}": getattr(data, name)() for name in TRAINING}
    images |= {"train/motorcycle_left": left, "train/motorcycle_right": right}
    images |= {f"val/{name}": getattr(data, name)() for name in HELD_OUT}
    for name, pixels in images.items():
        _write(folder / f"{name}.png", pixels)
    (folder / _READY).touch()
    return folder


def _write(target: Path, pixels: NDArray[np.uint8]) -> None:
    """Under another name first, so that two runs that start together see whole files only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    with partial.open("wb") as file:
        Image.fromarray(pixels).save(file, "PNG")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
