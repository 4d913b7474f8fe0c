"""The painting whose manner is learned: read from any file, at the size at which its strokes are taken."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.io.image import image_size, read_image
from datamodules.io.resize import resize_to

_COLORLESS = 8  # gray levels between the channels that JPEG and scanners leave in a gray image


@dataclass(frozen=True)
class StyleImage:
    """A painting as the network is shown it.

    Args:
        path: its file.
        original: height and width of the file's image as displayed.
        pixels: ``(h, w, 3)`` RGB uint8.
    """

    path: Path
    original: tuple[int, int]
    pixels: NDArray[np.uint8]

    @property
    def gray(self) -> bool:
        """Whether it has no colors to give."""
        return int(np.ptp(self.pixels, axis=2).max()) <= _COLORLESS

    def describe(self) -> str:
        """Says in one line which painting is taken, and how."""
        (height, width), (h, w) = self.original, self.pixels.shape[:2]
        line = f"  style: {self.path}, {width} x {height} px, taken at {w} x {h}"
        return f"{line}; it is gray, and so will be what is made after it" if self.gray else line


def read_style(path: Path, *, size: int, crop: bool) -> StyleImage:
    """Reads a painting of any format and mode, with its shorter side made ``size``.

    Args:
        path: an image file.
        size: shorter side in pixels; a smaller image is refused, since there are no strokes in enlarged pixels.
        crop: keep only the square in the middle.

    Raises:
        DataError: if there is no such image, it cannot be read, or it is smaller than ``size``.
    """
    way_out = "name an image with --data.style_image FILE"
    if path.is_dir():
        raise DataError(f"the style image {path} is a folder: {way_out}")
    if not path.exists():
        raise DataError(f"the style image {path} is not there: {way_out}")
    try:
        height, width = image_size(path)
        shorter = min(height, width)
        if shorter < size:
            raise DataError(
                f"has {width} x {height} px, and its shorter side is to be taken at {size}: name a larger image, or "
                f"lower --data.style_size to {shorter}"
            )
        pixels = read_image(path, min_side=2 * size)
    except DataError as error:
        raise DataError(f"the style image {path}: {str(error).removeprefix(f'{path}: ')}") from error
    pixels = resize_to(pixels, round(height * size / shorter), round(width * size / shorter))
    if crop:
        top, left = ((side - size) // 2 for side in pixels.shape[:2])
        pixels = np.ascontiguousarray(pixels[top : top + size, left : left + size])
    return StyleImage(path, (height, width), pixels)
