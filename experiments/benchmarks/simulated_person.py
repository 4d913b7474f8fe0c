"""A simulated person, who corrects the largest wrong region of a mask with a stroke until the mask is good enough.

The stroke follows the center line of the region, with a brush that fits it, 8 to 40 pixels wide. Where the brush would
cross the true outline, the line is moved until it does not: along the plain center line, a raw brush of 8 pixels
damages as much as it corrects, and hardly ever arrives.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from experiments.label.scene import Scene
from experiments.label.shapes import Mask, Point, stroke_pixels
from experiments.label.snapping import snap

#: Dice from which a mask is good enough, and the strokes after which an image is given up.
GOAL, MOST = 0.98, 60
_MIN_BRUSH, _MAX_BRUSH = 8, 40  # widths in pixels
_TRIED = 20  # largest wrong regions that are considered
Apply = Callable[[Scene, Mask, float, bool], Mask]


def strokes_needed(image: NDArray[np.uint8], truth: Mask, apply: Apply, goal: float = GOAL) -> int:
    """Counts the strokes from an empty mask to one that is good enough, at most ``MOST``.

    Args:
        image: ``(H, W, 3)``.
        truth: ``(H, W)``, what the person wants.
        apply: returns the mask after a stroke.
        goal: Dice of a mask that is good enough.
    """
    current, inside, outside = np.zeros_like(truth), np.zeros_like(truth), np.zeros_like(truth)
    for count in range(MOST):
        if dice(current, truth) >= goal:
            return count
        points, radius, add = next_stroke(current, truth)
        stroke = stroke_pixels((truth.shape[0], truth.shape[1]), points, radius)
        scene = Scene(image=image, current=current, inside=inside, outside=outside)
        current = apply(scene, stroke, radius, add)
        inside, outside = (inside | stroke, outside & ~stroke) if add else (inside & ~stroke, outside | stroke)
    return MOST


def next_stroke(current: Mask, truth: Mask) -> tuple[list[Point], float, bool]:
    """Returns points and radius of a stroke, and whether it adds.

    The stroke is drawn on the largest wrong region that a raw brush would correct more of than it would damage; on the
    largest one if there is no such region.

    Raises:
        ValueError: if nothing is wrong.
    """
    first = None
    for _, labels, number, add in sorted(_wrong_regions(current, truth), key=lambda found: -found[0])[:_TRIED]:
        points, radius = _stroke_on(labels == number, truth if add else ~truth)
        first = first or (points, radius, add)
        changed = stroke_pixels((truth.shape[0], truth.shape[1]), points, radius) & (current != add)
        if 2 * (changed & (truth == add)).sum() > changed.sum():
            return points, radius, add
    if first is None:
        raise ValueError("nothing is wrong")
    return first


def within(points: list[Point], allowed: Mask, radius: float) -> list[Point]:
    """Moves points so that a brush does not leave a region.

    Args:
        points: of a stroke.
        allowed: the region.
        radius: of the brush; points that would have to move by more than its double are left out.

    Returns:
        The moved points; the given ones if the brush fits nowhere near.
    """
    padded = np.pad(allowed.astype(np.uint8), 1, constant_values=1)  # the border of the image is no outline
    fits = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] >= radius + 0.5
    if not fits.any():
        return points
    away, labels = cv2.distanceTransformWithLabels(
        (~fits).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(fits)
    nearest = np.zeros(int(labels.max()) + 1, np.int64)
    nearest[labels[rows, columns]] = np.arange(len(rows))
    moved: list[Point] = []
    for x, y in points:
        if away[int(y), int(x)] <= 2 * radius:
            index = int(nearest[labels[int(y), int(x)]])
            point = (float(columns[index]) + 0.5, float(rows[index]) + 0.5)
            if not moved or moved[-1] != point:
                moved.append(point)
    return moved or points


def center_line(region: Mask) -> list[Point]:
    """Returns the longest path along the skeleton of a region."""
    skeleton = skeletonize(np.pad(region, 1))[1:-1, 1:-1]
    pixels = {(int(row), int(column)) for row, column in np.argwhere(skeleton)}
    if not pixels:
        row, column = np.argwhere(region)[0]
        return [(float(column) + 0.5, float(row) + 0.5)]
    start = next(iter(sorted(pixels)))
    end, _ = _farthest(pixels, start)
    _, path = _farthest(pixels, end)
    return [(column + 0.5, row + 0.5) for row, column in path]


def dice(first: Mask, second: Mask) -> float:
    """Dice of two masks; 1 if both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def paint(scene: Scene, stroke: Mask, radius: float, add: bool) -> Mask:  # noqa: ARG001
    """The raw brush."""
    return scene.current | stroke if add else scene.current & ~stroke


def snap_stroke(scene: Scene, stroke: Mask, radius: float, add: bool) -> Mask:
    """The brush that snaps."""
    return snap(scene, stroke, radius=radius, add=add)


def _wrong_regions(current: Mask, truth: Mask) -> list[tuple[int, NDArray[np.int32], int, bool]]:
    """Area, labels, own label of each wrong region, and whether it has to be added."""
    found = []
    for wrong, add in ((truth & ~current, True), (current & ~truth, False)):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
        areas = stats[1:, cv2.CC_STAT_AREA]
        found += [(int(area), np.asarray(labels, np.int32), number, add) for number, area in enumerate(areas, start=1)]
    return found


def _stroke_on(region: Mask, allowed: Mask) -> tuple[list[Point], float]:
    """Points and radius of a stroke on a wrong region, within ``allowed``."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    line = center_line(region[top : rows[-1] + 1, left : columns[-1] + 1])
    points = [(x + left, y + top) for x, y in line]
    distance = cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    along = float(np.median([distance[int(y), int(x)] for x, y in points]))
    radius = float(np.clip(along, _MIN_BRUSH / 2, _MAX_BRUSH / 2))
    return within(points, allowed, radius), radius


def _farthest(pixels: set[tuple[int, int]], start: tuple[int, int]) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    before: dict[tuple[int, int], tuple[int, int] | None] = {start: None}
    order = [start]
    for row, column in order:
        for neighbor in ((row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
            if neighbor in pixels and neighbor not in before:
                before[neighbor] = (row, column)
                order.append(neighbor)
    end = order[-1]
    path = [end]
    while (previous := before[path[-1]]) is not None:
        path.append(previous)
    return end, path
