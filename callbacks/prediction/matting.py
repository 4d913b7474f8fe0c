"""Probabilities to things one looks at: a soft edge, a cut-out, a new background, a tint. Pure functions on arrays."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.segmentation.blocks import resize_probs

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

# An edge in an image is about this many pixels wide, however coarse the net's own pixels are.
EDGE_WIDTH = 2.0
# Share of color in a tinted class: enough to see on a car of the same color, little enough to see the car.
TINT = 0.4


def resize_probability(prob: Floats, size: tuple[int, int]) -> Floats:
    """Scales one map of probabilities to an image's size, bilinear, without aliasing where it shrinks.

    The same as what ``test`` judges, so that a written mask has the Dice that was reported.

    Args:
        prob: (h, w) in [0, 1].
        size: (H, W) in pixels.

    Returns:
        (H, W) in [0, 1].
    """
    maps = torch.from_numpy(np.ascontiguousarray(prob))[None, None]
    return np.asarray(resize_probs(maps, size)[0, 0].numpy(), np.float32)


def likeliest_class(probs: Floats, size: tuple[int, int]) -> Bytes:
    """Says for every pixel of an image which class is the likeliest.

    One class at a time is scaled up, so that a large image of many classes needs three planes and not one per class.

    Args:
        probs: (C, h, w) in [0, 1]; C is at most 256.
        size: (H, W) of the image.

    Returns:
        (H, W) class numbers; the lowest where several are equally likely.
    """
    best = resize_probability(probs[0], size)
    classes = np.zeros(size, np.uint8)
    for number in range(1, len(probs)):
        prob = resize_probability(probs[number], size)
        wins = prob > best
        best[wins] = prob[wins]
        classes[wins] = number
    return classes


def soft_alpha(prob: Floats, *, magnification: float, middle: float = 0.5) -> Floats:
    """Turns a probability into opacity, with an edge as sharp as an image's.

    Scaled up by ``magnification``, the step of a net's own pixel becomes that many pixels wide: a halo in the
    cut-out. The probability is therefore stretched about ``middle`` until that step is ``EDGE_WIDTH`` pixels wide,
    which also clears the haze of small probabilities far from the edge. Where the net hesitates (glass, spokes) the
    opacity stays in between.

    Args:
        prob: (H, W) in [0, 1] at the image's size.
        magnification: how many times larger the image is than what the net saw; the larger of the two sides'.
        middle: probability of the mask's edge.

    Returns:
        (H, W) in [0, 1]; 0.5 exactly where ``prob`` is ``middle``.
    """
    gain = max(magnification / EDGE_WIDTH, 1.0)
    stretched = (prob - np.float32(middle)) * np.float32(gain) + np.float32(0.5)
    return np.asarray(stretched.clip(0, 1), np.float32)


def foreground_colors(image: Bytes, alpha: Floats, radius: int = 24) -> Bytes:
    """Takes the old background's color out of half-covered pixels.

    A pixel of the edge is ``alpha * foreground + (1 - alpha) * background``. Both are first guessed as means of the
    neighbourhood weighted by ``alpha``, then the foreground is corrected by what the guess leaves unexplained
    (Forte 2021, "Approximate Fast Foreground Colour Estimation", equations 4 to 7). The paper does so twice, with a
    window of 90 and then 6 pixels, for wide mattes of hair; edges here are narrow and one pass is enough.

    Args:
        image: (H, W, 3).
        alpha: (H, W) in [0, 1].
        radius: half the window's side in pixels.

    Returns:
        (H, W, 3): the image where ``alpha`` is 1, the foreground's own color carried on where it is below, and
        black out of the window's reach, where nothing of it can be seen.
    """
    window = (2 * radius + 1, 2 * radius + 1)
    rows, columns = _reach(alpha, radius)
    colors = np.zeros_like(image)
    if rows.stop == 0:
        return colors
    part = image[rows, columns].astype(np.float32)
    share = np.ascontiguousarray(alpha[rows, columns])
    weight = cv2.blur(share, window)[..., None]
    share = share[..., None]
    front = cv2.blur(part * share, window) / (weight + 1e-5)
    back = cv2.blur(part * (1 - share), window) / (1 - weight + 1e-5)
    front += share * (part - share * front - (1 - share) * back)
    front = np.where(share == 1, part, front)
    front[weight[..., 0] <= 0] = 0
    colors[rows, columns] = np.clip(front + 0.5, 0, 255).astype(np.uint8)
    return colors


def _reach(alpha: Floats, radius: int) -> tuple[slice, slice]:
    """The rectangle of rows and columns within ``radius`` of any opaque pixel; empty at 0 where there is none."""
    spans = []
    for axis, side in ((1, alpha.shape[0]), (0, alpha.shape[1])):
        found = np.flatnonzero(alpha.max(axis=axis))
        spans.append(slice(max(found[0] - radius, 0), min(found[-1] + radius + 1, side)) if len(found) else slice(0, 0))
    return spans[0], spans[1]


def cut_out(image: Bytes, alpha: Floats) -> Bytes:
    """Joins the foreground's colors and the opacity.

    Args:
        image: (H, W, 3).
        alpha: (H, W) in [0, 1].

    Returns:
        (H, W, 4) RGB and opacity, colors not multiplied by it (as PNG wants them).
    """
    opacity = np.rint(alpha * 255).astype(np.uint8)
    return np.dstack([foreground_colors(image, alpha), opacity])


def cover(background: Bytes, size: tuple[int, int]) -> Bytes:
    """Scales a background until it covers a size, and cuts off evenly what stands over.

    Args:
        background: (h, w, 3).
        size: (H, W) to cover.

    Returns:
        (H, W, 3).
    """
    height, width = size
    factor = max(height / background.shape[0], width / background.shape[1])
    scaled_height = max(round(background.shape[0] * factor), height)
    scaled_width = max(round(background.shape[1] * factor), width)
    filter_ = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(background, (scaled_width, scaled_height), interpolation=filter_), np.uint8)
    top, left = (scaled_height - height) // 2, (scaled_width - width) // 2
    return scaled[top : top + height, left : left + width]


def composite(cutout: Bytes, background: Bytes) -> Bytes:
    """Lays a cut-out over a background of the same size.

    Args:
        cutout: (H, W, 4) from :func:`cut_out`.
        background: (H, W, 3).

    Returns:
        (H, W, 3).
    """
    alpha = cutout[..., 3:].astype(np.uint16)
    mixed = cutout[..., :3] * alpha + background * (255 - alpha)  # at most 255 * 255, which 16 bits hold
    return ((mixed + 127) // 255).astype(np.uint8)


def overlay(image: Bytes, classes: Bytes, colors: Bytes, *, untouched: int | None) -> Bytes:
    """Tints an image by class and draws a line of full color where classes meet.

    Args:
        image: (H, W, 3).
        classes: (H, W) class numbers.
        colors: (C, 3), one color a class.
        untouched: class that is left as imageed (the background); ``None`` tints all.

    Returns:
        (H, W, 3).
    """
    tint = colors[classes]
    mixed = cv2.addWeighted(image, 1 - TINT, tint, TINT, 0)
    # On the inner side of every class; some 2 pixels where the whole image fills a screen.
    side = 2 * max(round(max(classes.shape) / 900), 1) + 1
    window = np.ones((side, side), np.uint8)
    line = cv2.dilate(classes, window) != cv2.erode(classes, window)
    mixed[line] = tint[line]
    if untouched is not None:
        plain = classes == untouched
        mixed[plain] = image[plain]
    return np.asarray(mixed, np.uint8)
