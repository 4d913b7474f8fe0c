"""Encodings of mask files in the cache: one class as coverage, several classes as class numbers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.cache.encodings import proportional_shape
from datamodules.io.resize import resize_classes_to, resize_coverage_to
from datamodules.io.tensors import unit_range, writable
from datamodules.segmentation.label_map import IGNORE, LabelMap
from datamodules.segmentation.mask_io import read_mask_values


@dataclass(frozen=True)
class MaskEncoding:
    """Masks ``(h, w)`` uint8: squares of side ``size``, or with the proportions of the image.

    Args:
        values: maps stored values to class numbers.
        orientation: EXIF orientation that is applied to the mask, from ``mask_orientation``.
        whole: height and width of the image as displayed, whose proportions are kept as by ``ProportionalEncoding``;
            ``None`` for squares.
    """

    values: LabelMap
    orientation: int = 1
    whole: tuple[int, int] | None = None

    def shape(self, size: int) -> tuple[int, ...]:
        """``(h, w)``."""
        return self.area(size)

    def area(self, size: int) -> tuple[int, int]:
        """Height and width at ``size``."""
        return (size, size) if self.whole is None else proportional_shape(*self.whole, size)

    @property
    def form(self) -> str:
        """The part of the label that tells squares from proportional masks."""
        return "" if self.whole is None else "proportional "

    def class_numbers(self, path: Path) -> NDArray[np.uint8]:
        """Class numbers ``(H, W)`` uint8 at the mask's own size, 255 where it is ignored.

        Raises:
            DataError: if the file cannot be used.
        """
        return self.values.apply(read_mask_values(path, orientation=self.orientation), path)


@dataclass(frozen=True)
class CoverageEncoding(MaskEncoding):
    """Masks of one class: 0 to 255, the fraction of each pixel that the object covers.

    If pixels may be ignored, masks are ``(h, w, 2)``: the fraction of the part that is not ignored, and 255 for
    pixels that are ignored in more than half of their area, else 0.
    """

    @cached_property
    def label(self) -> str:
        """Depends on the orientation and the table of values."""
        return f"coverage {self.form}{self.orientation} {self.values.label}"

    @cached_property
    def ignores(self) -> bool:
        """Whether pixels may be ignored."""
        return IGNORE in self.values.classes.values()

    def shape(self, size: int) -> tuple[int, ...]:
        """``(h, w)``, or ``(h, w, 2)`` if pixels may be ignored."""
        return (*self.area(size), 2) if self.ignores else self.area(size)

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Area means of the object's mask."""
        numbers, area = self.class_numbers(path), self.area(size)
        covered = resize_coverage_to((numbers == 1) * np.uint8(255), *area)
        if not self.ignores:
            return covered
        return known_coverage(covered, resize_coverage_to((numbers == IGNORE) * np.uint8(255), *area))


@dataclass(frozen=True)
class ClassesEncoding(MaskEncoding):
    """Masks of several classes: class numbers, and 255 where a pixel is ignored."""

    @cached_property
    def label(self) -> str:
        """Depends on the orientation and the table of values."""
        return f"classes {self.form}{self.orientation} {self.values.label}"

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        """Exact nearest neighbor: no new values, no shift."""
        return resize_classes_to(self.class_numbers(path), *self.area(size))


def known_coverage(covered: NDArray[np.uint8], ignored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Joins the fractions of pixels that are object and that are ignored (0 to 255) to a mask of two channels.

    Returns:
        ``(H, W, 2)``, see ``CoverageEncoding``.
    """
    fraction = covered.astype(np.float32) * 255 / np.maximum(255 - ignored.astype(np.float32), 1)
    left_out = ignored > 127
    fraction[left_out] = 0
    mask = np.stack([np.rint(fraction.clip(0, 255)), left_out * np.float32(255)], axis=-1)
    return mask.astype(np.uint8)


def mask_target(mask: NDArray[np.uint8], *, coverage: bool) -> Tensor:
    """Converts a mask from the cache, augmented or not, to the target of a ``SegmentBatch``.

    Args:
        mask: class numbers ``(H, W)``; or coverage ``(H, W)``, or ``(H, W, 2)`` with the ignored pixels, of which those
            that interpolation made partly ignored are left out as well.
        coverage: which of the two it is.

    Returns:
        ``(H, W)``: int64 class numbers; or float32 in [0, 1]. Both are 255 where a pixel is ignored.
    """
    mask = writable(mask)
    if not coverage:
        return torch.from_numpy(mask).long()
    if mask.ndim == 2:
        return unit_range(torch.from_numpy(mask))
    target = unit_range(torch.from_numpy(np.ascontiguousarray(mask[..., 0])))
    return target.masked_fill_(torch.from_numpy(mask[..., 1] > 0), IGNORE)
