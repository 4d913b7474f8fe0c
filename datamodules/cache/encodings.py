"""Encodings of image files: how a file becomes the array of pixels that the cache keeps for a size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.io.bands import BandLayout
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.image import read_image
from datamodules.io.resize import resize_bands, resize_image, resize_to


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
    """Whole images resized to squares ``(size, size, 3)`` RGB; their proportions are not kept.

    Args:
        bits: bits that the values of 16-bit files use.
    """

    bits: int = FULL_BITS

    @property
    def label(self) -> str:
        """Part of the cache file's name."""
        return _label("image", self.bits)

    def shape(self, size: int) -> tuple[int, ...]:
        """``(size, size, 3)``."""
        return (size, size, 3)

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Area means; a JPEG is decoded at a fraction of its size where that is faster."""
        return resize_image(read_image(path, for_size=size, bits=self.bits), size)


@dataclass(frozen=True)
class ProportionalEncoding:
    """Whole images ``(h, w, 3)`` RGB with their proportions kept: the shorter side is ``size`` or less.

    Args:
        height: height of the image as displayed.
        width: width of the image as displayed.
        bits: bits that the values of 16-bit files use.
    """

    height: int
    width: int
    bits: int = FULL_BITS

    @property
    def label(self) -> str:
        """Part of the cache file's name."""
        return _label("proportional", self.bits)

    def shape(self, size: int) -> tuple[int, ...]:
        """``(h, w, 3)``; an image whose shorter side is below ``size`` keeps its size."""
        return (*proportional_shape(self.height, self.width, size), 3)

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """As ``ImageEncoding``, at its own shape."""
        height, width, _ = self.shape(size)
        return resize_to(read_image(path, for_size=size, bits=self.bits), height, width)


def proportional_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of an image whose shorter side is reduced to ``size``; smaller images keep theirs.

    >>> proportional_shape(360, 480, 180), proportional_shape(360, 480, 512)
    ((180, 240), (360, 480))
    """
    shorter = min(height, width)
    if shorter <= size:
        return (height, width)
    return (round(height * size / shorter), round(width * size / shorter))


@dataclass(frozen=True)
class BandsEncoding:
    """Images of several channels with 16 bits, resized to squares or with their proportions kept.

    The cache holds bytes: ``(h, w, 2 * channels)``, the low byte of each value first.

    Args:
        layout: where the channels are.
        states: size and modification time of the files beside the first, when the run began.
        whole: height and width of the image, whose proportions are kept; ``None`` resizes to a square.
    """

    layout: BandLayout
    states: tuple[tuple[int, int], ...] = ()
    whole: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """The layout, the states of the files, and the form."""
        return f"bands {self.layout} {self.states} {self.whole}"

    def shape(self, size: int) -> tuple[int, ...]:
        """``(size, size, 2 * channels)``, or ``(h, w, 2 * channels)`` as of ``ProportionalEncoding``."""
        height, width = (size, size) if self.whole is None else proportional_shape(*self.whole, size)
        return (height, width, 2 * self.layout.channels)

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Area means of all channels.

        Raises:
            DataError: also if a file beside the first has changed since the run began.
        """
        for other, state in zip(self.layout.files(path)[1:], self.states, strict=True):
            if file_state(other) != state:
                raise DataError(f"{other}: has changed since the run began: restore the file, or start a new run")
        height, width, _ = self.shape(size)
        return resize_bands(self.layout.read(path), height, width).astype("<u2").view(np.uint8)

    @staticmethod
    def pixels(stored: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """The ``(h, w, channels)`` values of a cached array."""
        return stored.view("<u2").astype(np.uint16)


def bands_encoding(layout: BandLayout, first: Path) -> BandsEncoding:
    """The encoding of one image, given its first file.

    Raises:
        DataError: if a file of the image is missing.
    """
    return BandsEncoding(layout, tuple(file_state(path) for path in layout.files(first)[1:]))


def file_state(path: Path) -> tuple[int, int]:
    """Size and modification time in nanoseconds.

    Raises:
        DataError: if there is no such file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return status.st_size, status.st_mtime_ns


def _label(name: str, bits: int) -> str:
    return name if bits == FULL_BITS else f"{name} {bits} bits"


#: The encoding of images that are squashed to a square.
IMAGE = ImageEncoding()
