"""A simulated person labels a folder as ``label`` does: with rounds of training and their suggestions."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from experiments.benchmarks.simulated_person import GOAL, MOST, dice, next_stroke
from experiments.label.folder import Item, LabelFolder
from experiments.label.open_image import OpenImage
from experiments.label.rounds import Rounds
from experiments.label.shapes import Mask
from experiments.label.tools import apply_tool

_POLL = 1.0  # seconds


def label_all(
    folder: LabelFolder,
    truth_of: Callable[[Item], Mask],
    *,
    goal: float = GOAL,
    most_rounds: int = 0,
    options: Sequence[str] = (),
) -> Iterator[tuple[Item, float, int]]:
    """Labels all images of a folder in the order that the page proposes.

    Rounds start by themselves, as on the page. The person waits for their suggestions.

    Args:
        folder: entered, with one class and nothing labeled.
        truth_of: returns the mask that the person wants, of the size of the image.
        goal: Dice of a mask that is good enough.
        most_rounds: number of rounds of training after which the images that are left are labeled with the
            suggestions of the last one; 0 for no limit.
        options: of the fits.

    Yields:
        Image, Dice of what was there before the first stroke, and strokes.

    Raises:
        RuntimeError: if a round fails.
    """
    rounds = Rounds(folder, options=options)
    try:
        item = folder.next_item(None)
        while item is not None:
            image, truth = OpenImage(folder, item), truth_of(item)
            before = dice(image.class_pixels(1), truth)
            strokes = label_image(image, truth, goal)
            apply_tool(image, {"tool": "finish"}, classes=1)
            yield item, before, strokes
            if not most_rounds or rounds.status()["complete"] < most_rounds:
                rounds.image_changed()
            while rounds.status()["phase"] not in ("waiting", "failed"):
                time.sleep(_POLL)
            if rounds.status()["phase"] == "failed":
                raise RuntimeError(rounds.status()["message"])
            folder.read_suggestion_log()
            item = folder.next_item(item)
    finally:
        rounds.close()


def label_image(image: OpenImage, truth: Mask, goal: float = GOAL) -> int:
    """Draws snapping strokes until the mask is good enough, and returns their number, at most ``MOST``."""
    for count in range(MOST):
        current = np.asarray(image.class_pixels(1))
        if dice(current, truth) >= goal:
            return count
        points, radius, add = next_stroke(current, truth)
        request = {"tool": "brush", "class": 1, "points": [list(point) for point in points], "radius": radius}
        apply_tool(image, request | {"erase": not add, "snap": True}, classes=1)
    return MOST
