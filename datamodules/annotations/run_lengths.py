"""Run lengths as regions: COCO's, compressed or not, and CVAT's.

They are decoded here and not by pycocotools, whose C code takes the sizes in a file as they are: a wrong one would ask
for any amount of memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.annotations.annotation_set import Patch, RegionError
from datamodules.annotations.polygons import crop

_LONGEST = 20_000_000  # characters or numbers of one region
_BITS, _MORE, _SIGN, _ZERO = 5, 0x20, 0x10, 48
_MAX_CHUNKS = 7  # of five bits: more than any number of pixels

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class CocoRunLengths:
    """Runs of background and object in turn, down the columns.

    Args:
        counts: lengths, or COCO's compressed text.
        size: height and width, as stored.
    """

    counts: str | Sequence[object]
    size: object

    def draw(self, height: int, width: int) -> Patch:
        """Expands the runs.

        Raises:
            RegionError: if they are made for another size or do not fill it.
        """
        if self.size != [height, width]:
            raise RegionError(f"run lengths for the size {self.size} (image: [{height}, {width}])")
        counts = decode_counts(self.counts) if isinstance(self.counts, str) else read_counts(self.counts)
        return crop(expand_runs(counts, width, height).T)


@dataclass(frozen=True)
class CvatRunLengths:
    """Runs of background and object in turn, along the rows of a box.

    Args:
        counts: lengths.
        box: left, top, width and height of the box.
    """

    counts: Sequence[object]
    box: tuple[int, int, int, int]

    def draw(self, height: int, width: int) -> Patch:
        """Expands the runs and keeps what lies inside the image.

        Raises:
            RegionError: if the box is larger than the image or the runs do not fill it.
        """
        left, top, box_width, box_height = self.box
        if not (0 < box_width <= width and 0 < box_height <= height):
            raise RegionError(f"box of {box_width} x {box_height} in an image of {width} x {height}")
        if left < 0 or top < 0 or left + box_width > width or top + box_height > height:
            raise RegionError("box that reaches out of the image")
        return Patch(top, left, expand_runs(read_counts(self.counts), box_height, box_width))


def read_counts(stored: Sequence[object]) -> Counts:
    """Converts stored lengths to an array.

    Raises:
        RegionError: if they are not whole numbers from 0 on.
    """
    if len(stored) > _LONGEST or not all(type(one) is int and 0 <= one < 1 << 40 for one in stored):
        raise RegionError("its run lengths are not whole numbers from 0 on")
    return np.array(stored, np.int64)


def decode_counts(text: str) -> Counts:
    """Decodes COCO's compressed run lengths.

    A number is stored in characters of five bits, the lowest first; from the third number on, what is stored is its
    difference to the number before the last.

    Raises:
        RegionError: for other characters, an incomplete number, or a length below 0.

    >>> decode_counts("03Q1").tolist()
    [0, 3, 33]
    """
    codes = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - _ZERO
    if not len(codes) or len(codes) > _LONGEST or codes.min() < 0 or codes.max() >= 2 * _MORE:
        raise RegionError("its compressed run lengths hold other characters")
    last = codes & _MORE == 0
    if not last[-1]:
        raise RegionError("its compressed run lengths end within a number")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() >= _MAX_CHUNKS:
        raise RegionError("its compressed run lengths hold a number that is too large")
    place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    numbers = np.add.reduceat((codes & (_MORE - 1)) << (_BITS * place), starts)
    negative = codes[ends] & _SIGN != 0
    numbers -= np.where(negative, np.int64(1) << (_BITS * (ends - starts + 1)), 0)
    for parity in (1, 2):  # the first number is stored as it is, the others add up in two chains
        numbers[parity::2] = np.cumsum(numbers[parity::2])
    if numbers.min() < 0:
        raise RegionError("its compressed run lengths hold a length below 0")
    return numbers


def expand_runs(counts: Counts, height: int, width: int) -> NDArray[np.bool_]:
    """Expands runs of 0 and 1 in turn to ``(height, width)``, along the rows.

    Raises:
        RegionError: if they do not add up to the number of pixels.
    """
    total = int(counts.sum()) if len(counts) else 0
    if total != height * width:
        raise RegionError(f"its run lengths add up to {total} pixels instead of {height * width}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(height, width)
