"""Random crops of images with their masks, at a random scale."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.io.resize import resize_classes_to, resize_coverage_to, resize_pixels
from datamodules.io.tensors import Pixels
from datamodules.segmentation.label_map import IGNORE
from datamodules.stage import Stage

_Pair = tuple[Pixels, NDArray[np.uint8]]


class RandomCrop:
    """Crops a square at a random place and resizes it to ``side``.

    The scale is drawn uniformly from the logarithm of its range. At scale ``s`` the square is ``side / s`` pixels wide:
    objects appear ``s`` times larger. Where the square is larger than the image, image and square are placed at random
    to each other. The image is mirrored beyond its border, and these pixels are ignored in the mask.

    Args:
        side: of the result in pixels.
        scale: smallest and largest scale; ``(1, 1)`` does not resize.
        coverage: whether masks hold foreground coverage and ignored pixels ``(H, W, 2)``, or class numbers ``(H, W)``.

    """

    def __init__(self, side: int, *, scale: tuple[float, float] = (1.0, 1.0), coverage: bool) -> None:
        self.side, self.scale, self.coverage = side, scale, coverage

    def __call__(self, image: Pixels, mask: NDArray[np.uint8], *, seed: int) -> _Pair:
        """Crops one pair.

        Args:
            image: ``(H, W, C)`` uint8 or uint16; not changed.
            mask: ``(H, W)`` class numbers, or ``(H, W, 2)`` coverage and ignored pixels; not changed.
            seed: seed of scale and place.

        Returns:
            Image ``(side, side, C)`` and mask ``(side, side)`` or ``(side, side, 2)``.
        """
        # The second number separates this stream from that of the augmentation, which has the same seed.
        draw = np.random.default_rng((seed, 1))
        scale = math.exp(draw.uniform(*np.log(self.scale)))
        window = max(1, round(self.side / scale))
        top, left = (_place(length, window, draw.random()) for length in image.shape[:2])
        part, labels = _cut(image, mask, top, left, window)
        labels = (resize_coverage_to if self.coverage else resize_classes_to)(labels, self.side, self.side)
        return resize_pixels(part, self.side, self.side), np.ascontiguousarray(labels)


def checked_crops(scale: tuple[float, float], crops: int) -> tuple[tuple[float, float], int]:
    """Returns the range of scales and the number of crops of an image.

    Raises:
        ValueError: if the range is empty or not above 0, or there are no crops.
    """
    if not 0 < scale[0] <= scale[1]:
        raise ValueError(f"random_scale must be two numbers above 0, the smaller first, not {list(scale)}")
    if crops < 1:
        raise ValueError(f"crops must be at least 1, not {crops}")
    return scale, crops


def check_scale(scale: tuple[float, float], stages: Sequence[Stage]) -> None:
    """Compares the range of scales with the stages.

    Raises:
        DataError: if images are to be scaled, but no stage crops.
    """
    if tuple(scale) != (1.0, 1.0) and not any(stage.crop for stage in stages):
        raise DataError(f"random_scale {list(scale)} needs a stage with crop: add crop to a stage, or leave it out")


def _place(length: int, window: int, random: float) -> int:
    """First pixel of the window along one axis; negative if the window is larger than the image."""
    low, high = sorted((0, length - window))
    return low + min(int(random * (high - low + 1)), high - low)


def _cut(image: Pixels, mask: NDArray[np.uint8], top: int, left: int, window: int) -> _Pair:
    height, width = image.shape[:2]
    bottom, right = top + window, left + window
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    border = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    part, labels = image[rows, columns], mask[rows, columns]
    if not any(border):
        return part, labels
    ignored = (IGNORE,) * 4 if mask.ndim == 2 else (0, IGNORE, 0, 0)
    reflected = image[_mirrored(top, bottom, height)[:, None], _mirrored(left, right, width)]
    return reflected, np.asarray(cv2.copyMakeBorder(labels, *border, cv2.BORDER_CONSTANT, value=ignored), np.uint8)


def _mirrored(start: int, end: int, length: int) -> NDArray[np.intp]:
    """Pixels of an axis that stand at ``start`` to ``end`` if it is mirrored at both ends without end."""
    places = np.arange(start, end) % (2 * length)
    mirrored: NDArray[np.intp] = np.minimum(places, 2 * length - 1 - places)
    return mirrored
