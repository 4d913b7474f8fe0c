"""What the numbers in a data set's masks stand for: its class list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datamodules.errors import DataError
from datamodules.segmentation.label_map import (
    MaskValues,
    ValueCount,
    binary_mask_values,
    class_mask_values,
    threshold_mask_values,
)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The classes of a data set, in the order of their numbers.

    Args:
        names: of the classes. One name means foreground against everything else.
        ignore: stored value of pixels that count nowhere (several classes only).
        threshold: stored value from which a pixel is foreground, for masks with soft edges (one class only).

    Raises:
        DataError: if names are missing or doubled, or an option does not go with their number.
    """

    names: tuple[str, ...]
    ignore: int | None = None
    threshold: int | None = None

    def __post_init__(self) -> None:
        """Refuses what contradicts itself."""
        if not self.names:
            raise DataError("the class list is empty: name at least one class")
        doubled = [name for name, count in Counter(self.names).items() if count > 1]
        if doubled:
            raise DataError(f"the class list names {', '.join(doubled)} more than once")
        if self.one_class and self.ignore is not None:
            raise DataError(
                f"ignore {self.ignore} needs several classes: to leave pixels out, "
                f"list the background as a class too: [background, {self.names[0]}]"
            )
        if not self.one_class and self.threshold is not None:
            raise DataError("mask_threshold is for one class; masks of several classes hold class numbers")
        if not self.one_class or self.threshold is not None:
            self.values({})

    @property
    def one_class(self) -> bool:
        """Whether masks are shares of area rather than class numbers."""
        return len(self.names) == 1

    def values(self, found: Mapping[int, ValueCount]) -> MaskValues:
        """The table from stored value to class number.

        Args:
            found: the values of all masks; decides between 0/1 and 0/255 when there is one class.

        Raises:
            DataError: if there is one class and the values found have no plain meaning.
        """
        if not self.one_class:
            return class_mask_values(len(self.names), self.ignore)
        if self.threshold is not None:
            return threshold_mask_values(self.threshold)
        return binary_mask_values(found)

    def expected(self, masks: Sequence[Mapping[int, int]]) -> frozenset[int]:
        """The stored values that may occur, judged by what most masks hold.

        Args:
            masks: pixels by stored value, for each mask.
        """
        if not self.one_class or self.threshold is not None:
            return frozenset(self.values({}).classes)
        votes = Counter(value for mask in masks for value in mask if value in (1, 255))
        return frozenset({0, 255} if votes[255] > votes[1] else {0, 1})
