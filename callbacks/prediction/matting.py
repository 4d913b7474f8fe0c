"""Matting: probabilities to a soft alpha channel, a cutout, a composite or an overlay. Pure functions on arrays."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from callbacks.prediction.foreground import bounding_box, foreground_colors
from models.segmentation.blocks import resize_probs

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

# Width of an edge in an image in pixels, however coarse the network's output is.
EDGE_WIDTH = 2.0
# Opacity of a class color: visible on an object of the same color, and transparent enough to see the object.
TINT = 0.4


def resize_probability(prob: Floats, size: tuple[int, int]) -> Floats:
    """Resizes one probability map to the size of an image, bilinear with antialiasing.

    ``test`` measures the same map, so a written mask has the Dice that was reported.

    Args:
        prob: (h, w) in [0, 1].
        size: (H, W) in pixels.

    Returns:
        (H, W) in [0, 1].
    """
    maps = torch.from_numpy(np.ascontiguousarray(prob))[None, None]
    return np.asarray(resize_probs(maps, size)[0, 0].numpy(), np.float32)


def argmax_classes(probs: Floats, size: tuple[int, int]) -> Bytes:
    """Finds the most likely class of every pixel.

    Classes are resized one at a time, so that a large image needs three maps in memory and not one per class.

    Args:
        probs: (C, h, w) in [0, 1]; C is at most 256.
        size: (H, W) of the image.

    Returns:
        (H, W) class indices; the lowest index if several classes are equally likely.
    """
    best = resize_probability(probs[0], size)
    classes = np.zeros(size, np.uint8)
    for number in range(1, len(probs)):
        prob = resize_probability(probs[number], size)
        wins = prob > best
        best[wins] = prob[wins]
        classes[wins] = number
    return classes


def soft_alpha(prob: Floats, *, magnification: float, threshold: float = 0.5) -> Floats:
    """Turns a probability into opacity with an edge as sharp as those of an image.

    Upsampling by ``magnification`` makes the step between two pixels of the network's output that many pixels wide,
    which shows as a halo around the cutout. The probability is therefore stretched around ``threshold`` until the step
    is ``EDGE_WIDTH`` pixels wide. This also removes small probabilities far from the edge. Where the network is
    uncertain (glass, spokes), the opacity stays partial.

    Args:
        prob: (H, W) in [0, 1] at the image's size.
        magnification: size of the image divided by the size of the network's output; the larger of both sides.
        threshold: probability at the edge of the mask.

    Returns:
        (H, W) in [0, 1]; 0.5 exactly where ``prob`` is ``threshold``.
    """
    gain = max(magnification / EDGE_WIDTH, 1.0)
    stretched = prob - np.float32(threshold)
    stretched *= np.float32(gain)
    stretched += np.float32(0.5)
    return np.clip(stretched, 0, 1, out=stretched)


def follow_mask(alpha: Floats, before: NDArray[np.bool_], after: NDArray[np.bool_], *, margin: float) -> Floats:
    """Changes an opacity where a mask was cleaned after the prediction.

    Args:
        alpha: (H, W) in [0, 1], from ``soft_alpha``.
        before: (H, W), the mask as it was predicted.
        after: (H, W), the cleaned mask.
        margin: width of soft edges in pixels.

    Returns:
        (H, W): 0 farther than the margin from the cleaned mask, 1 in filled holes and their edges.
    """
    side = 2 * int(np.ceil(margin)) + 1
    kernel = np.ones((side, side), np.uint8)
    near = cv2.dilate(after.astype(np.uint8), kernel) > 0
    filled = after & (cv2.dilate((after & ~before).astype(np.uint8), kernel) > 0)
    return np.asarray(np.where(near, np.where(filled, 1, alpha), 0), np.float32)


def make_cutout(image: Bytes, alpha: Floats) -> Bytes:
    """Combines foreground colors and opacity.

    Args:
        image: (H, W, 3).
        alpha: (H, W) in [0, 1].

    Returns:
        (H, W, 4) RGBA, colors not premultiplied, as PNG stores them.
    """
    cutout = cv2.cvtColor(foreground_colors(image, alpha), cv2.COLOR_RGB2RGBA)
    return np.asarray(cv2.insertChannel(cv2.convertScaleAbs(alpha, alpha=255), cutout, 3), np.uint8)


def resize_to_cover(background: Bytes, size: tuple[int, int]) -> Bytes:
    """Resizes a background until it covers a size, and crops its center.

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
    """Composites a cutout over a background of the same size.

    Args:
        cutout: (H, W, 4) from :func:`make_cutout`.
        background: (H, W, 3).

    Returns:
        (H, W, 3).
    """
    alpha = cutout[..., 3:].astype(np.uint16)
    mixed = cutout[..., :3] * alpha + background * (255 - alpha)  # at most 255 * 255, which fits into 16 bits
    return ((mixed + 127) // 255).astype(np.uint8)


def draw_overlay(image: Bytes, classes: Bytes, colors: Bytes, *, background: int | None) -> Bytes:
    """Tints an image by class and draws the borders between classes in full color.

    Args:
        image: (H, W, 3).
        classes: (H, W) class indices.
        colors: (C, 3), one color per class.
        background: index of a class that is not tinted; ``None`` tints all.

    Returns:
        (H, W, 3).
    """
    # Inside every class; about 2 pixels wide when the whole image fills a screen.
    side = 2 * max(round(max(classes.shape) / 900), 1) + 1
    if background is None:
        return _tint(image, classes, colors, side)
    box = bounding_box((classes != background).view(np.uint8), side)
    shown = image.copy()
    mixed = _tint(image[box], classes[box], colors, side)
    cv2.copyTo(image[box], (classes[box] == background).view(np.uint8), mixed)
    shown[box] = mixed
    return shown


def _tint(image: Bytes, classes: Bytes, colors: Bytes, side: int) -> Bytes:
    """Tints an image; borders between classes, found in windows of ``side`` pixels, get the full color."""
    if not image.size:
        return image
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(colors), 0] = colors
    tint = cv2.applyColorMap(np.ascontiguousarray(classes), table)
    mixed = cv2.addWeighted(image, 1 - TINT, tint, TINT, 0)
    window = np.ones((side, side), np.uint8)
    line = cv2.compare(cv2.dilate(classes, window), cv2.erode(classes, window), cv2.CMP_NE)
    cv2.copyTo(tint, line, mixed)
    return np.asarray(mixed, np.uint8)
