"""The painting whose manner is learned: read from any file, at the size at which its strokes are taken."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.io.image import image_size, read_image
from datamodules.io.resize import resize_to

_COLOURLESS = 8  # grey levels between the channels that JPEG and scanners leave in a grey picture


@dataclass(frozen=True)
class StylePicture:
    """A painting as the network is shown it.

    Args:
        path: its file.
        original: height and width of the file's picture as displayed.
        pixels: ``(h, w, 3)`` RGB uint8.
    """

    path: Path
    original: tuple[int, int]
    pixels: NDArray[np.uint8]

    @property
    def grey(self) -> bool:
        """Whether it has no colours to give."""
        return int(np.ptp(self.pixels, axis=2).max()) <= _COLOURLESS

    def describe(self) -> str:
        """Says in one line which painting is taken, and how."""
        (height, width), (h, w) = self.original, self.pixels.shape[:2]
        line = f"  style: {self.path}, {width} x {height} px, taken at {w} x {h}"
        return f"{line}; it is grey, and so will be what is made after it" if self.grey else line


def read_style(path: Path, *, size: int, crop: bool) -> StylePicture:
    """Reads a painting of any format and mode, with its shorter side made ``size``.

    Args:
        path: a picture file.
        size: shorter side in pixels; a smaller picture is refused, since there are no strokes in enlarged pixels.
        crop: keep only the square in the middle.

    Raises:
        DataError: if there is no such picture, it cannot be read, or it is smaller than ``size``.
    """
    way_out = "name a picture with --data.style_image FILE"
    if path.is_dir():
        raise DataError(f"the style picture {path} is a folder: {way_out}")
    if not path.exists():
        raise DataError(f"the style picture {path} is not there: {way_out}")
    try:
        height, width = image_size(path)
        shorter = min(height, width)
        if shorter < size:
            raise DataError(
                f"has {width} x {height} px, and its shorter side is to be taken at {size}: name a larger picture, or "
                f"lower --data.style_size to {shorter}"
            )
        pixels = read_image(path, at_least=2 * size)
    except DataError as error:
        raise DataError(f"the style picture {path}: {str(error).removeprefix(f'{path}: ')}") from error
    pixels = resize_to(pixels, round(height * size / shorter), round(width * size / shorter))
    if crop:
        top, left = ((side - size) // 2 for side in pixels.shape[:2])
        pixels = np.ascontiguousarray(pixels[top : top + size, left : left + size])
    return StylePicture(path, (height, width), pixels)
