"""Images and masks to a square of the stage's size, each in the way that keeps what matters of it.

The square is reached by squashing, not by cropping. Side by side at full size (a mask to 128 pixels and back, Dice):
OpenCV's and torchvision's default nearest 0.980 (it shifts by half a pixel), exact nearest 0.991, area shares 0.998.
"""

import cv2
import numpy as np
from numpy.typing import NDArray


def resize_image(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Squashes an image ``(H, W, 3)`` to ``(size, size, 3)``: area means where it shrinks, cubic where it grows."""
    return _area_then(image, size, size, cv2.INTER_CUBIC)


def resize_to(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resizes an image ``(H, W, 3)`` to any height and width: area means where it shrinks, cubic where it grows."""
    return _area_then(image, height, width, cv2.INTER_CUBIC)


def resize_classes(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Squashes class numbers ``(H, W)`` to ``(size, size)`` by exact nearest neighbour: no new values, no shift."""
    return _resized(mask, size, size, cv2.INTER_NEAREST_EXACT)


def resize_coverage(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Squashes a mask ``(H, W)`` of 0 and 1 to the share of each new pixel that it covers.

    Returns:
        ``(size, size)``, 0 for none to 255 for all of the pixel; linear in between where the mask grows.
    """
    return _area_then(mask * np.uint8(255), size, size, cv2.INTER_LINEAR)


def _area_then(pixels: NDArray[np.uint8], height: int, width: int, growing: int) -> NDArray[np.uint8]:
    """Each axis on its own: OpenCV's area mode is only that when no axis grows."""
    shrunk = _resized(pixels, min(pixels.shape[0], height), min(pixels.shape[1], width), cv2.INTER_AREA)
    return _resized(shrunk, height, width, growing)


def _resized(pixels: NDArray[np.uint8], height: int, width: int, how: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), dtype=np.uint8)
