"""The class list of a data set, and the table from stored mask values to class numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.segmentation.mask_io import Values

IGNORE = 255  # class number of ignored pixels in every batch; the file's own ignore value is mapped to it
MAX_CLASSES = 255
FOREGROUND = (1, 255, 65535)  # stored values of the object in masks of one class
_MAX_LISTED = 12  # values listed in a message


@dataclass(frozen=True)
class LabelMap:
    """Maps stored mask values to class numbers (0 to 254) or ``IGNORE``.

    Args:
        classes: class number by stored value. A value without an entry is an error.
    """

    classes: Mapping[int, int]

    def apply(self, values: Values, path: Path) -> NDArray[np.uint8]:
        """Maps stored values to class numbers.

        Args:
            values: ``(H, W)`` uint8 or uint16, as stored in a file.
            path: that file, for the message.

        Returns:
            ``(H, W)`` class numbers and ``IGNORE``.

        Raises:
            DataError: if a value has no entry.
        """
        unknown = sorted(set(count_values(values)) - set(self.classes))
        if unknown:
            raise DataError(
                f"{path}: the mask values {list_values(unknown)} stand for no class "
                f"(known: {list_values(sorted(self.classes))}); correct the mask or the class list"
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
        """The table as a short text; equal tables have equal texts."""
        items = sorted(self.classes.items())
        runs = [list(run) for _, run in groupby(items, key=lambda item: item[1])]
        return ",".join(f"{run[0][0]}-{run[-1][0]}x{len(run)}:{run[0][1]}" for run in runs)


@dataclass(frozen=True, kw_only=True)
class ClassList:
    """The classes of a data set, in the order of their numbers.

    Args:
        names: class names. A single name means foreground against everything else.
        ignore: stored value of the pixels that no loss or metric counts, with one class and with several.
        threshold: smallest stored value that is foreground, for masks with soft edges (one class only).

    Raises:
        DataError: if names are missing or repeated, or an option does not fit their number.
    """

    names: tuple[str, ...]
    ignore: int | None = None
    threshold: int | None = None

    def __post_init__(self) -> None:
        """Checks the options against each other."""
        if not self.names:
            raise DataError("the class list is empty: name at least one class")
        repeated = [name for name, count in Counter(self.names).items() if count > 1]
        if repeated:
            raise DataError(f"the class list names {', '.join(repeated)} more than once")
        if self.ignore is not None and not (1 if self.one_class else 0) <= self.ignore <= 65535:
            background = " (0 is the background)" if self.one_class else ""
            raise DataError(f"ignore {self.ignore}: expected a stored value of up to 65535{background}")
        if not self.one_class and self.threshold is not None:
            raise DataError("mask_threshold is for one class; masks of several classes hold class numbers")
        if not self.one_class or self.threshold is not None:
            self.label_map({})

    @property
    def one_class(self) -> bool:
        """Whether masks are foreground coverage rather than class numbers."""
        return len(self.names) == 1

    def label_map(self, found: Mapping[int, Path]) -> LabelMap:
        """Builds the table from stored value to class number.

        Args:
            found: a mask that holds it, by stored value, over all masks. With one class and no threshold, this
                decides between 0/1, 0/255 and 0/65535.

        Raises:
            DataError: if there is one class, no threshold, and the values are none of these.
        """
        if not self.one_class:
            return class_label_map(len(self.names), self.ignore)
        if self.threshold is not None:
            return threshold_label_map(self.threshold, maximum=max(found, default=0), ignore=self.ignore)
        return binary_label_map(found, ignore=self.ignore)

    def expected_values(self, masks: Sequence[Mapping[int, int]]) -> frozenset[int]:
        """The stored values that may occur. One class: most masks decide between 0/1, 0/255 and 0/65535.

        Args:
            masks: pixels by stored value, for each mask.
        """
        if self.threshold is not None:
            return frozenset(range(65536))
        if not self.one_class:
            return frozenset(self.label_map({}).classes)
        objects = [value for value in FOREGROUND if value != self.ignore]
        votes = Counter(value for mask in masks for value in mask if value in objects)
        expected = {0, max(objects, key=lambda value: votes[value])}
        return frozenset(expected if self.ignore is None else {*expected, self.ignore})


def class_label_map(classes: int, ignore: int | None) -> LabelMap:
    """Maps class numbers 0 to ``classes - 1`` to themselves and the value ``ignore`` to ``IGNORE``.

    Raises:
        DataError: if there are more classes than 8-bit masks hold, or ``ignore`` is also a class.
    """
    if not 1 <= classes <= MAX_CLASSES:
        raise DataError(f"{classes} classes: there can be 1 to {MAX_CLASSES}")
    if ignore is not None and 0 <= ignore < classes:
        raise DataError(
            f"the ignore value {ignore} is also one of the class numbers 0 to {classes - 1}; if masks store unlabelled "
            f"pixels as 0, list 'unlabelled' as the first class and leave ignore out"
        )
    table = {number: number for number in range(classes)}
    return LabelMap(table if ignore is None else {**table, ignore: IGNORE})


def threshold_label_map(threshold: int, *, maximum: int = 255, ignore: int | None = None) -> LabelMap:
    """Maps gray values from ``threshold`` on to 1, the others to 0, and the value ``ignore`` to ``IGNORE``.

    Args:
        threshold: smallest value of the foreground, 1 to 65535.
        maximum: largest value that occurs. The table ends at 255, or at 65535 for masks of 16 bits.
        ignore: value of the pixels that are left out.

    Raises:
        DataError: if the threshold is outside 1 to 65535.
    """
    if not 1 <= threshold <= 65535:
        raise DataError(f"mask_threshold must lie between 1 and 255 (65535 for 16-bit masks), not {threshold}")
    table = {value: int(value >= threshold) for value in range(256 if maximum <= 255 else 65536)}
    return LabelMap(table if ignore is None else {**table, ignore: IGNORE})


def binary_label_map(found: Mapping[int, Path], *, ignore: int | None = None) -> LabelMap:
    """Decides for a whole data set whether its foreground is stored as 1, 255 or 65535.

    Args:
        found: a mask that holds it, by stored value, over all masks.
        ignore: stored value that is neither foreground nor background.

    Raises:
        DataError: if the values are not 0 and one of ``FOREGROUND``, or there is no foreground at all.
    """
    foreground = sorted(set(found) - {0, ignore})
    if len(foreground) == 1 and foreground[0] in FOREGROUND:
        table = {0: 0, foreground[0]: 1}
        return LabelMap(table if ignore is None else {**table, ignore: IGNORE})
    if not foreground:
        values = "0" if ignore is None else f"0 and the ignored {ignore}"
        raise DataError(f"every mask is empty: no pixel differs from {values}")
    examples = "; ".join(f"{value} in {found[value]}" for value in foreground[:3])
    if foreground == [1, 255]:
        raise DataError(
            f"some masks hold 1 and some 255 ({examples}), so it is not clear whether both are the object or 255 is "
            f"to be ignored; set ignore to 255 if it is, or save all masks alike"
        )
    threshold = (foreground[-1] + 1) // 2
    raise DataError(
        f"masks of one class hold 0 and 1, or 0 and 255, but these hold {list_values(sorted(found))} ({examples}); "
        f"if their edges are soft, set mask_threshold (for example {threshold}); if the values are classes, "
        f"give a class list"
    )


def count_values(values: Values) -> dict[int, int]:
    """Counts the pixels of each value that occurs, in the order of the values."""
    levels = _levels(values)
    counts = cv2.calcHist([values], [0], None, [levels], [0, levels])  # 4x faster than numpy's unique
    counts = counts.ravel()  # OpenCV 5 returns one axis, OpenCV 4 two
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def list_values(values: Iterable[int]) -> str:
    """The values for a message; a long list is cut."""
    names = [str(value) for value in values]
    return ", ".join(names if len(names) <= _MAX_LISTED else [*names[:_MAX_LISTED], f"... ({len(names)} in all)"])


def _levels(values: Values) -> int:
    return int(np.iinfo(values.dtype).max) + 1
