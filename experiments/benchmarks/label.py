"""Counts the strokes that a simulated person needs to label images, with and without help.

    python -m experiments.benchmarks.label --images CARVANA/train --masks CARVANA/train_masks [--limit 20] [--net FILE]

The person draws along the center line of the largest wrong region with a brush that fits it, 8 to 40 pixels wide,
until the Dice of the image reaches 0.98. Where the brush would cross the true outline, the line is moved until it does
not: along the plain center line, a raw brush of 8 pixels damages as much as it corrects, and hardly ever arrives.
``raw`` paints only the stroke. ``snap`` moves it to the outline. ``net`` starts from the mask of a network and corrects
it with ``snap``. Images are reduced to a longest side of 640 px.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize
from tqdm import tqdm

from datamodules.io.image import read_image
from datamodules.segmentation.mask_io import read_mask_values
from experiments.label.scene import Scene
from experiments.label.shapes import Mask, Point, stroke_pixels
from experiments.label.snapping import snap

SIDE, GOAL, MOST = 640, 0.98, 60
_MIN_BRUSH, _MAX_BRUSH = 8, 40  # widths in pixels
Apply = Callable[[Scene, Mask, float, bool], Mask]


def main(argv: Sequence[str]) -> int:
    """Prints the strokes of each image and their mean."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.label", description="Strokes of a simulated person.")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--masks", type=Path, required=True, help="folder of the true masks, 0 background")
    parser.add_argument("--suffix", default="_mask.gif", help="what follows the image's name in that of its mask")
    parser.add_argument("--value", type=int, help="value of the class in the masks (default: all above 0)")
    parser.add_argument("--least", type=float, default=0.0, help="fraction of the image that the class must cover")
    parser.add_argument("--limit", type=int, default=0, help="number of images, evenly spaced; 0 takes all")
    parser.add_argument("--net", help="checkpoint of a network that has seen none of these images")
    options = parser.parse_args(argv)

    def mask_of(image: Path) -> Path:
        return Path(options.masks) / f"{image.stem}{options.suffix}"

    paths = sorted(path for path in options.images.iterdir() if path.is_file())
    if options.least:
        paths = [
            p
            for p in paths
            if _truth(options.masks / f"{p.stem}{options.suffix}", options.value).mean() > options.least
        ]
    paths = paths[:: max(1, len(paths) // options.limit)][: options.limit] if options.limit else paths
    predict = _predictor(options.net) if options.net else None
    counts: dict[str, list[int]] = {}
    times: list[float] = []
    for path in tqdm(paths, unit="image"):
        image, truth = _read(path, _truth(mask_of(path), options.value))
        counts.setdefault("raw", []).append(strokes_needed(image, truth, paint))
        counts.setdefault("snap", []).append(strokes_needed(image, truth, _timed(snap_stroke, times)))
        if predict is not None:
            prob = predict(image)
            counts.setdefault("net", []).append(strokes_needed(image, truth, snap_stroke, prob))
        tqdm.write(f"{path.name}: " + ", ".join(f"{name} {numbers[-1]}" for name, numbers in counts.items()))
    print(f"strokes until Dice {GOAL} at {SIDE} px, {len(paths)} images (an image that needs {MOST} is given up)")
    for name, numbers in counts.items():
        ratio = statistics.mean(numbers) / statistics.mean(counts["raw"])
        given_up = sum(number >= MOST for number in numbers)
        print(
            f"  {name:5} mean {statistics.mean(numbers):6.1f}  median {statistics.median(numbers):4g}  "
            f"relative to raw {ratio:.2f}  given up {given_up}"
        )
    print(
        f"  a snapped stroke took {1000 * statistics.median(times):.0f} ms (median), {1000 * max(times):.0f} ms at most"
    )
    return 0


def strokes_needed(image: NDArray[np.uint8], truth: Mask, apply: Apply, prob: NDArray[np.float32] | None = None) -> int:
    """Counts the strokes until the mask reaches ``GOAL``, at most ``MOST``.

    Args:
        image: ``(H, W, 3)``.
        truth: ``(H, W)``, what the person wants.
        apply: returns the mask after a stroke.
        prob: a network's probabilities, whose mask is the start; ``None`` starts empty.
    """
    current = np.zeros_like(truth) if prob is None else prob >= 0.5
    inside, outside = np.zeros_like(truth), np.zeros_like(truth)
    for count in range(MOST):
        if dice(current, truth) >= GOAL:
            return count
        points, radius, add = next_stroke(current, truth)
        stroke = stroke_pixels((truth.shape[0], truth.shape[1]), points, radius)
        scene = Scene(image=image, current=current, inside=inside, outside=outside, prob=prob)
        current = apply(scene, stroke, radius, add)
        inside, outside = (inside | stroke, outside & ~stroke) if add else (inside & ~stroke, outside | stroke)
    return MOST


def next_stroke(current: Mask, truth: Mask) -> tuple[list[Point], float, bool]:
    """Returns points and radius of the stroke that corrects the largest wrong region, and whether it adds."""
    best: tuple[int, Mask, bool] = (0, np.zeros_like(truth), True)
    for wrong, add in ((truth & ~current, True), (current & ~truth, False)):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
        if len(stats) > 1:
            largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
            area = int(stats[largest, cv2.CC_STAT_AREA])
            if area > best[0]:
                best = (area, labels == largest, add)
    _, region, add = best
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    line = center_line(region[top : rows[-1] + 1, left : columns[-1] + 1])
    points = [(x + left, y + top) for x, y in line]
    distance = cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    along = float(np.median([distance[int(y), int(x)] for x, y in points]))
    radius = float(np.clip(along, _MIN_BRUSH / 2, _MAX_BRUSH / 2))
    return within(points, truth if add else ~truth, radius), radius, add


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


def _timed(apply: Apply, times: list[float]) -> Apply:
    def timed(scene: Scene, stroke: Mask, radius: float, add: bool) -> Mask:
        start = time.perf_counter()
        result = apply(scene, stroke, radius, add)
        times.append(time.perf_counter() - start)
        return result

    return timed


def _truth(path: Path, value: int | None) -> Mask:
    values = read_mask_values(path)
    return np.asarray(values > 0 if value is None else values == value)


def _read(path: Path, truth: Mask) -> tuple[NDArray[np.uint8], Mask]:
    image, mask = read_image(path), truth.astype(np.float32)
    scale = min(1.0, SIDE / max(mask.shape))
    size = (round(mask.shape[1] * scale), round(mask.shape[0] * scale))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA) >= 0.5)


def _predictor(checkpoint: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    from experiments import load

    predictor = load(checkpoint)
    return lambda image: np.asarray(predictor(image).probs[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
