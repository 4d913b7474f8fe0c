"""Encodings of mask files in the cache: one class as coverage, several classes as class numbers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.io.resize import resize_classes, resize_coverage
from datamodules.segmentation.label_map import LabelMap
from datamodules.segmentation.mask_io import read_mask_values


@dataclass(frozen=True)
class MaskEncoding:
    """Masks ``(size, size)`` uint8.

    Args:
        values: maps stored values to class numbers.
        orientation: EXIF orientation that is applied to the mask, from ``mask_orientation``.
    """

    values: LabelMap
    orientation: int = 1

    def shape(self, size: int) -> tuple[int, ...]:
        """``(size, size)``."""
        return (size, size)

    def class_numbers(self, path: Path) -> NDArray[np.uint8]:
        """Class numbers ``(H, W)`` uint8 at the mask's own size, 255 where it is ignored.

        Raises:
            DataError: if the file cannot be used.
        """
        return self.values.apply(read_mask_values(path, orientation=self.orientation), path)


@dataclass(frozen=True)
class CoverageEncoding(MaskEncoding):
    """Masks of one class: 0 to 255, the fraction of each pixel that the object covers."""

    @cached_property
    def label(self) -> str:
        """Depends on the orientation and the table of values."""
        return f"coverage {self.orientation} {self.values.label}"

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Area means of the object's mask."""
        return resize_coverage(self.class_numbers(path), size)


@dataclass(frozen=True)
class ClassesEncoding(MaskEncoding):
    """Masks of several classes: class numbers, and 255 where a pixel is ignored."""

    @cached_property
    def label(self) -> str:
        """Depends on the orientation and the table of values."""
        return f"classes {self.orientation} {self.values.label}"

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Exact nearest neighbor: no new values, no shift."""
        return resize_classes(self.class_numbers(path), size)
