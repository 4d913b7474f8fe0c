"""Encodings of image files: how a file becomes the array of pixels that the cache keeps for a size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datamodules.io.image import read_image
from datamodules.io.resize import resize_image, resize_to


class Encoding(Protocol):
    """Decodes and resizes one kind of file."""

    @property
    def label(self) -> str:
        """Part of the cache file's name; encodings with equal labels give equal pixels."""
        ...

    def shape(self, size: int) -> tuple[int, ...]:
        """Shape of the array at ``size`` pixels."""
        ...

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Decodes the file and resizes it to ``shape(size)``.

        Raises:
            DataError: if the file cannot be used.
        """
        ...


@dataclass(frozen=True)
class ImageEncoding:
    """Whole images resized to squares ``(size, size, 3)`` RGB; their proportions are not kept."""

    label = "image"

    def shape(self, size: int) -> tuple[int, ...]:
        """``(size, size, 3)``."""
        return (size, size, 3)

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Area means; a JPEG is decoded at a fraction of its size where that is faster."""
        return resize_image(read_image(path, for_size=size), size)


@dataclass(frozen=True)
class ProportionalEncoding:
    """Whole images ``(h, w, 3)`` RGB with their proportions kept: the shorter side is ``size`` or less.

    Args:
        height: height of the image as displayed.
        width: width of the image as displayed.
    """

    height: int
    width: int
    label = "proportional"

    def shape(self, size: int) -> tuple[int, ...]:
        """``(h, w, 3)``; an image whose shorter side is below ``size`` keeps its size."""
        return (*proportional_shape(self.height, self.width, size), 3)

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """As ``ImageEncoding``, at its own shape."""
        height, width, _ = self.shape(size)
        return resize_to(read_image(path, for_size=size), height, width)


def proportional_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of an image whose shorter side is reduced to ``size``; smaller images keep theirs.

    >>> proportional_shape(360, 480, 180), proportional_shape(360, 480, 512)
    ((180, 240), (360, 480))
    """
    shorter = min(height, width)
    if shorter <= size:
        return (height, width)
    return (round(height * size / shorter), round(width * size / shorter))


#: The encoding of images that are squashed to a square.
IMAGE = ImageEncoding()
