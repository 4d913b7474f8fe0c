"""Estimates the colors of a foreground at its edge, without the color of the old background."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_STRIP = 64  # rows


def foreground_colors(image: Bytes, alpha: Floats, radius: int = 24) -> Bytes:
    """Removes the color of the old background from partly covered pixels.

    A pixel of the edge is ``alpha * foreground + (1 - alpha) * background``. Both are first estimated as means of the
    neighborhood weighted by ``alpha``; then the foreground is corrected by the residual (Forte 2021, "Approximate Fast
    Foreground Colour Estimation", equations 4 to 7). The paper does this twice, with a window of 90 and then 6 pixels,
    for wide mattes of hair. Edges here are narrow and one pass is enough.

    Args:
        image: (H, W, 3).
        alpha: (H, W) in [0, 1].
        radius: half the side of the window in pixels.

    Returns:
        (H, W, 3): the image where ``alpha`` is 1, the estimated foreground color where it is smaller, and black
        farther than ``radius`` from the foreground, where the result is transparent.
    """
    rows, columns = bounding_box(alpha, radius)
    colors = np.zeros(image.shape, np.uint8)  # in the order that OpenCV writes to, whatever that of the image
    for top in range(rows.start, rows.stop, _STRIP):  # arrays that fit in the processor's cache
        bottom = min(top + _STRIP, rows.stop)
        around = slice(max(top - radius, rows.start), min(bottom + radius, rows.stop))
        inner = slice(top - around.start, bottom - around.start)
        strip, pixels = alpha[around, columns], image[around, columns]
        for run in _edge_columns(strip, inner, radius):
            part = _foreground_strip(pixels[:, run], strip[:, run], inner, radius)
            colors[top:bottom, columns][:, run] = part
    cv2.copyTo(image, (alpha == 1).view(np.uint8), colors)
    return colors


def _edge_columns(alpha: Floats, inner: slice, radius: int) -> Iterator[slice]:
    """Yields the columns of a strip whose colors are to be estimated, and those around them that the window needs.

    They are near the foreground and not covered by it. The colors of those around them will be black, or those of the
    image.
    """
    near = _widen(alpha.max(axis=0) > 0, radius)
    changed = near & (alpha[inner].min(axis=0) < 1)
    ends = np.flatnonzero(np.diff(_widen(changed, radius), prepend=False, append=False))
    for start, stop in zip(ends[::2], ends[1::2], strict=True):
        yield slice(start, stop)


def _widen(columns: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Marks the columns within ``radius`` of those that are marked."""
    window = np.ones((1, 2 * radius + 1), np.uint8)
    return np.asarray(cv2.dilate(columns.view(np.uint8)[None], window)[0] > 0)


def _foreground_strip(image: Bytes, alpha: Floats, inner: slice, radius: int) -> Bytes:
    """The foreground colors of the rows ``inner`` of a strip, where it is not covered completely."""
    window = (2 * radius + 1, 2 * radius + 1)
    pixels, single = image.astype(np.float32), np.ascontiguousarray(alpha)
    weight = cv2.blur(single, window)[inner]
    covered = cv2.blur(pixels * cv2.merge([single] * 3), window)[inner]
    mean = cv2.blur(pixels, window)[inner]
    front = covered / cv2.merge([weight + np.float32(1e-5)] * 3)
    pixels, single = pixels[inner], single[inner]
    edge = np.flatnonzero((single > 0) & (single < 1))  # few pixels: elsewhere the residual does not count
    share, near = (values.reshape(-1, 1)[edge] for values in (single, weight))
    all_front, color, total, own = (values.reshape(-1, 3) for values in (front, pixels, mean, covered))
    back = (total[edge] - own[edge]) / (1 - near + np.float32(1e-5))
    first = all_front[edge]
    all_front[edge] = (first + share * (color[edge] - share * first - (1 - share) * back)).clip(0)
    colors = np.zeros(front.shape, np.uint8)
    cv2.copyTo(cv2.convertScaleAbs(np.asarray(front)), (weight > 0).view(np.uint8), colors)
    return colors


def bounding_box(values: NDArray[Any], radius: int) -> tuple[slice, slice]:
    """Rows and columns within ``radius`` of any pixel above 0; empty slices if there is none."""
    spans = []
    for axis, side in ((1, values.shape[0]), (0, values.shape[1])):
        found = np.flatnonzero(values.max(axis=axis))
        spans.append(slice(max(found[0] - radius, 0), min(found[-1] + radius + 1, side)) if len(found) else slice(0, 0))
    return spans[0], spans[1]
