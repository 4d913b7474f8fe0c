"""Sample images of scikit-image for a run without data; three are held out for validation."""

from pathlib import Path

from PIL import Image

from datamodules.io.atomic_file import atomic_file

#: Held-out images: fur, a still life and a landscape, none of which is in the training images.
HELD_OUT = ("chelsea", "coffee", "rocket")
TRAINING = ("astronaut", "brick", "camera", "grass", "gravel")
_READY = "ready-1"  # increase the number when the images change


def ensure_sample_images(folder: Path) -> Path:
    """Writes the images to ``folder/train`` and ``folder/val`` as PNG, unless they exist.

    All images are in scikit-image's package, most of them in the public domain or CC0; nothing is downloaded. Brick,
    camera, grass and gravel are gray, the others in color.

    Returns:
        ``folder``.
    """
    if (folder / _READY).exists():
        return folder
    from skimage import data  # takes a second to import and is needed once

    left, right, _ = data.stereo_motorcycle()
    images = {f"train/{name}": getattr(data, name)() for name in TRAINING}
    images |= {"train/motorcycle_left": left, "train/motorcycle_right": right}
    images |= {f"val/{name}": getattr(data, name)() for name in HELD_OUT}
    for name, pixels in images.items():
        with atomic_file(folder / f"{name}.png") as file:
            Image.fromarray(pixels).save(file, "PNG")
    (folder / _READY).touch()
    return folder


def texture_file(name: str) -> Path:
    """The file of an image in scikit-image's package, for example ``brick``; nothing is written or downloaded."""
    from skimage import data

    return Path(data.__file__).parent / f"{name}.png"
