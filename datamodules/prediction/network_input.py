"""What a segmentation network gets of an image or a frame."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from datamodules.cache.encodings import proportional_shape
from datamodules.io.resize import resize_image, resize_to
from datamodules.io.tensors import compact_tensor, image_tensor


def network_input(pixels: NDArray[np.uint8], size: int, *, whole: bool, displayed: tuple[int, int]) -> Tensor:
    """Resizes an image as in training.

    Args:
        pixels: ``(h, w, 3)``; a JPEG may have been decoded at a fraction of its size.
        size: side of the square; if ``whole``, the largest length of the shorter side.
        whole: whether the image keeps its proportions.
        displayed: height and width of the image in full size.

    Returns:
        ``(3, size, size)`` float32 in [0, 1]; if ``whole``, ``(3, H, W)`` uint8, since it may be large.
    """
    if whole:
        return compact_tensor(resize_to(pixels, *proportional_shape(*displayed, size)))
    return image_tensor(resize_image(pixels, size))
