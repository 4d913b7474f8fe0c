"""Which stored mask value is which class: an explicit table, and the ways to make one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.loading.parallel import map_files, raise_together
from datamodules.segmentation.mask_io import Color, Values, read_stored_mask

IGNORE = 255  # inside the program, always; a user's own value is mapped to it
MAX_CLASSES = 255
_SHOWN = 12  # values spelt out in a message


@dataclass(frozen=True, kw_only=True)
class ValueCount:
    """How often a value was found in the masks of a data set.

    Args:
        files: masks that hold it.
        pixels: pixels that hold it, over all masks.
        example: the first mask that holds it.
        color: what the palette shows it as, if the masks are palette files.
    """

    files: int
    pixels: int
    example: Path
    color: Color | None = None


@dataclass(frozen=True)
class MaskValues:
    """Stored value -> class number (0 to 254) or ``IGNORE``; anything else in a file is an error.

    Args:
        classes: one entry for every value that may occur.
    """

    classes: Mapping[int, int]

    def apply(self, values: Values, path: Path) -> NDArray[np.uint8]:
        """Maps stored values to class numbers.

        Args:
            values: ``(H, W)`` uint8 or uint16 of a file.
            path: that file, for the message.

        Returns:
            ``(H, W)`` class numbers and ``IGNORE``.

        Raises:
            DataError: if a value has no entry.
        """
        unknown = sorted(set(_count(values)) - set(self.classes))
        if unknown:
            raise DataError(
                f"{path}: holds the mask values {_listed(unknown)}, which stand for no class "
                f"(known: {_listed(sorted(self.classes))}); correct the mask or the class list"
            )
        table = np.zeros(_levels(values), np.uint8)
        for value, number in self.classes.items():
            if value < len(table):
                table[value] = number
        if values.dtype == np.uint8:
            return np.asarray(cv2.LUT(values, table), dtype=np.uint8)  # 3x faster than indexing
        return table[values]

    @property
    def label(self) -> str:
        """The table as a short text that is equal for equal tables."""
        return ",".join(f"{value}:{number}" for value, number in sorted(self.classes.items()))


def class_mask_values(classes: int, ignore: int | None) -> MaskValues:
    """Masks that hold class numbers 0 to ``classes - 1`` and, where they are unlabelled, the value ``ignore``.

    Raises:
        DataError: if there are more classes than 8-bit masks hold, or ``ignore`` is also a class.
    """
    if not 1 <= classes <= MAX_CLASSES:
        raise DataError(f"{classes} classes: there can be 1 to {MAX_CLASSES}")
    if ignore is not None and 0 <= ignore < classes:
        raise DataError(f"the ignore value {ignore} is also one of the class numbers 0 to {classes - 1}")
    table = {number: number for number in range(classes)}
    return MaskValues(table if ignore is None else {**table, ignore: IGNORE})


def threshold_mask_values(threshold: int) -> MaskValues:
    """Gray masks with soft edges: values from ``threshold`` on (1 to 255) are foreground.

    Raises:
        DataError: if the threshold is outside 1 to 255.
    """
    if not 1 <= threshold <= 255:
        raise DataError(f"mask_threshold must lie between 1 and 255, not {threshold}")
    return MaskValues({value: int(value >= threshold) for value in range(256)})


def binary_mask_values(found: Mapping[int, ValueCount]) -> MaskValues:
    """Decides once for a data set whether its foreground is stored as 1 or as 255.

    Args:
        found: the values of all its masks, from ``value_table``.

    Raises:
        DataError: if they are neither 0 and 1 nor 0 and 255, or there is no foreground at all.
    """
    foreground = sorted(set(found) - {0})
    if foreground in ([1], [255]):
        return MaskValues({0: 0, foreground[0]: 1})
    if not foreground:
        raise DataError("every mask is empty: no pixel differs from 0")
    examples = "; ".join(f"{value} in {found[value].example}" for value in foreground[:3])
    if foreground == [1, 255]:
        raise DataError(
            f"some masks hold 1 and some 255 ({examples}), so it is not clear whether both are the object or 255 is "
            f"to be ignored; give a class list with an ignore value, or save all masks alike"
        )
    raise DataError(
        f"masks of one class hold 0 and 1, or 0 and 255, but these hold {_listed(sorted(found))} ({examples}); "
        f"if their edges are soft, set mask_threshold (for example 128); if the values are classes, give a class list"
    )


def value_table(paths: Sequence[Path], *, workers: int) -> dict[int, ValueCount]:
    """Counts the values that the masks of a data set hold, with a progress bar.

    Returns:
        Counts by value, in the order of the values.

    Raises:
        DataError: if masks cannot be read (all are counted, the first twenty named), or two palettes show the same
            index in different colors: some programs number the colors of every file anew.
    """
    outcomes = map_files(count_values, paths, workers=workers, title="reading masks")
    raise_together(outcomes)
    table: dict[int, ValueCount] = {}
    for outcome in outcomes:
        for value, new in () if isinstance(outcome, DataError) else outcome.items():
            table[value] = _add(value, table[value], new) if value in table else new
    return dict(sorted(table.items()))


def count_values(path: Path) -> dict[int, ValueCount]:
    """Counts the values of one mask.

    Raises:
        DataError: as ``read_mask_values``.
    """
    values, palette = read_stored_mask(path)
    return {
        value: ValueCount(files=1, pixels=pixels, example=path, color=palette[value] if value < len(palette) else None)
        for value, pixels in _count(values).items()
    }


def _add(value: int, old: ValueCount, new: ValueCount) -> ValueCount:
    if old.color and new.color and old.color != new.color:
        raise DataError(
            f"index {value} is the color {old.color} in {old.example} but {new.color} in {new.example}, "
            f"so indices are not class numbers here; save the masks as gray PNG files that hold the numbers"
        )
    pixels, color = old.pixels + new.pixels, old.color or new.color
    return ValueCount(files=old.files + 1, pixels=pixels, example=old.example, color=color)


def _count(values: Values) -> dict[int, int]:
    levels = _levels(values)
    counts = cv2.calcHist([values], [0], None, [levels], [0, levels])  # 4x faster than numpy's unique
    counts = counts.ravel()  # OpenCV 5 gives one axis, OpenCV 4 two
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def _levels(values: Values) -> int:
    return int(np.iinfo(values.dtype).max) + 1


def _listed(values: Iterable[int]) -> str:
    names = [str(value) for value in values]
    return ", ".join(names if len(names) <= _SHOWN else [*names[:_SHOWN], f"... ({len(names)} in all)"])
