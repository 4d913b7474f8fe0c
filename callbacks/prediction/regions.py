"""Cleans masks by their connected regions: keeps the largest, fills holes, removes small ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What is changed in a predicted mask, for each class on its own, in this order.

    Regions are connected by their 8 neighbors, holes by their 4.

    Args:
        min_area: regions of fewer pixels are removed; 0 keeps all.
        largest: number of the largest regions to keep; 0 keeps all.
        fill_holes: whether holes of background inside a region become part of it.
        background: class number of the background; ``None`` if every pixel belongs to a class. Pixels of removed
            regions become background, or without one the class of the nearest pixel that stays.

    Raises:
        ValueError: if a number is negative, or holes are to be filled without a background.
    """

    min_area: int = 0
    largest: int = 0
    fill_holes: bool = False
    background: int | None = 0

    def __post_init__(self) -> None:
        """Checks the options."""
        for name, value in (("min_area", self.min_area), ("largest", self.largest)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        if self.fill_holes and self.background is None:
            raise ValueError("fill_holes is for masks with background: one class, or a class called 'background'")

    @property
    def changes(self) -> bool:
        """Whether anything is done at all."""
        return bool(self.min_area or self.largest or self.fill_holes)

    def apply(self, classes: Classes) -> Classes:
        """Cleans a mask.

        Args:
            classes: class numbers ``(H, W)``.

        Returns:
            A new array.
        """
        from scipy import ndimage  # late: takes half a second, and few masks are cleaned

        numbers = [int(number) for number in np.unique(classes) if number != self.background]
        cleaned, removed = classes.copy(), np.zeros(classes.shape, np.bool_)
        for number in numbers:
            removed |= (classes == number) & ~self._kept(classes == number)
        if self.background is not None:
            cleaned[removed] = self.background
        elif removed.any() and not removed.all():
            nearest = ndimage.distance_transform_edt(removed, return_distances=False, return_indices=True)
            cleaned = classes[tuple(nearest)]
        if self.fill_holes:
            for number in numbers:
                filled = ndimage.binary_fill_holes(cleaned == number)
                cleaned[filled & (cleaned == self.background)] = number
        return cleaned

    def _kept(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA].copy()
        areas[0] = 0  # what surrounds the regions
        keep = areas >= max(1, self.min_area)
        if self.largest:
            order = np.argsort(-areas, kind="stable")
            keep[order[self.largest :]] = False
        return np.asarray(keep[labels])


def cleaning_for(classes: Sequence[str], *, min_area: int, largest: int, fill_holes: bool) -> Cleaning:
    """The cleaning of masks with these classes: one class has a background, several if one is called so.

    Raises:
        ValueError: as ``Cleaning``.
    """
    names = [name.lower() for name in classes]
    background = 0 if len(names) == 1 else names.index("background") if "background" in names else None
    return Cleaning(min_area=min_area, largest=largest, fill_holes=fill_holes, background=background)
