"""What a person has drawn in an image: the pixels under the strokes, without those that snapping added."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.label.history import Edit
from experiments.label.label_maps import UNKNOWN, LabelMap
from experiments.label.shapes import polygon_pixels, stroke_pixels


class Drawn:
    """The strokes and polygons of the edits, painted over each other.

    Args:
        size: height and width of the image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._edits: list[Edit] = []
        self._labels: LabelMap = np.full(size, UNKNOWN, np.uint8)

    def after(self, edits: Sequence[Edit]) -> LabelMap:
        """Returns class numbers, 0 where background was drawn, and ``UNKNOWN`` where nothing was.

        Args:
            edits: all that are done, the oldest first. Those that were there in the last call are not painted again.
        """
        known = len(self._edits)
        if len(edits) < known or any(old is not new for old, new in zip(self._edits, edits, strict=False)):
            self._labels, known = np.full(self._size, UNKNOWN, np.uint8), 0
        for edit in edits[known:]:
            _paint(self._labels, edit.what)
        self._edits = list(edits)
        return self._labels


def _paint(labels: LabelMap, what: Mapping[str, Any]) -> None:
    size = (labels.shape[0], labels.shape[1])
    number = 0 if what.get("erase") is True else int(what.get("class", 0))
    if what.get("tool") == "brush":
        labels[stroke_pixels(size, what["points"], float(what["radius"]))] = number
    elif what.get("tool") == "polygon":
        labels[polygon_pixels(size, what["points"])] = number
