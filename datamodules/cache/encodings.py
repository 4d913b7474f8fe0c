"""How a file becomes the small square of pixels that a stage trains on: as an image, as coverage, as classes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datamodules.io.image import read_image
from datamodules.io.resize import resize_classes, resize_coverage, resize_image, resize_to
from datamodules.segmentation.label_map import LabelMap
from datamodules.segmentation.mask_io import read_mask_values


class Kind(Protocol):
    """What is copied: how a file becomes pixels, under a label that tells two ways apart."""

    @property
    def label(self) -> str:
        """Equal labels promise equal copies."""
        ...

    def shape(self, size: int) -> tuple[int, ...]:
        """Shape of the copy with the side ``size``."""
        ...

    def make(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Decodes and resizes.

        Raises:
            DataError: if the file cannot be used.
        """
        ...


@dataclass(frozen=True)
class ImageKind:
    """Images ``(size, size, 3)`` RGB: area means, from a JPEG decoded at a fraction where that is faster."""

    @property
    def label(self) -> str:
        """See ``Kind``."""
        return "image"

    def shape(self, size: int) -> tuple[int, ...]:
        """See ``Kind``."""
        return (size, size, 3)

    def make(self, path: Path, size: int) -> NDArray[np.uint8]:
        """See ``Kind``."""
        # Twice the side: then the copy is within 2 gray levels of one made from the full image (47 dB and more).
        return resize_image(read_image(path, min_side=2 * size), size)


IMAGE = ImageKind()


@dataclass(frozen=True)
class ProportionalKind:
    """Whole images with their own proportions: the shorter side becomes ``size``, and is never made longer.

    Args:
        height: of the image as displayed.
        width: of the image as displayed.
    """

    height: int
    width: int

    @property
    def label(self) -> str:
        """See ``Kind``."""
        return "image"

    def shape(self, size: int) -> tuple[int, ...]:
        """See ``Kind``."""
        shorter = min(self.height, self.width)
        if shorter <= size:
            return (self.height, self.width, 3)
        return (round(self.height * size / shorter), round(self.width * size / shorter), 3)

    def make(self, path: Path, size: int) -> NDArray[np.uint8]:
        """See ``Kind``."""
        height, width, _ = self.shape(size)
        return resize_to(read_image(path, min_side=2 * size), height, width)


@dataclass(frozen=True)
class CoverageKind:
    """Masks of one class ``(size, size)``: 0 to 255, the share of the pixel that the object covers.

    Args:
        values: which stored value is background (0) and which the object (1).
        orientation: from ``mask_orientation``.
    """

    values: LabelMap
    orientation: int = 1

    @cached_property
    def label(self) -> str:
        """See ``Kind``."""
        return f"coverage {self.orientation} {self.values.label}"

    def shape(self, size: int) -> tuple[int, ...]:
        """See ``Kind``."""
        return (size, size)

    def make(self, path: Path, size: int) -> NDArray[np.uint8]:
        """See ``Kind``."""
        values = read_mask_values(path, orientation=self.orientation)
        return resize_coverage(self.values.apply(values, path), size)


@dataclass(frozen=True)
class ClassesKind:
    """Masks of several classes ``(size, size)``: class numbers and 255 for ignore, by exact nearest.

    Args:
        values: which stored value is which class.
        orientation: from ``mask_orientation``.
    """

    values: LabelMap
    orientation: int = 1

    @cached_property
    def label(self) -> str:
        """See ``Kind``."""
        return f"classes {self.orientation} {self.values.label}"

    def shape(self, size: int) -> tuple[int, ...]:
        """See ``Kind``."""
        return (size, size)

    def make(self, path: Path, size: int) -> NDArray[np.uint8]:
        """See ``Kind``."""
        values = read_mask_values(path, orientation=self.orientation)
        return resize_classes(self.values.apply(values, path), size)
