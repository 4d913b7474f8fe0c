"""Images and masks as tensors: bytes, or floats in [0, 1]."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Converts ``(H, W, 3)`` uint8 to ``(3, H, W)`` float32 in [0, 1]."""
    return unit_range(byte_tensor(image))


def byte_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Converts ``(H, W, C)`` uint8 to ``(C, H, W)`` uint8."""
    planes = np.empty((image.shape[2], *image.shape[:2]), np.uint8)
    cv2.split(image, list(planes))  # ten times as fast as a copy of the transposed array
    return torch.from_numpy(planes)


def unit_range(values: Tensor) -> Tensor:
    """Converts uint8 (0 to 255) of any shape to float32 in [0, 1]."""
    # NumPy asks for large memory pages, which torch does not: a large new tensor costs more time than the division.
    floats = torch.from_numpy(np.empty(values.shape, np.float32))
    return floats.copy_(values).div_(255)


def writable(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copies an array that may not be written to, as those of the cache; torch and some transforms refuse it."""
    return pixels if pixels.flags.writeable else pixels.copy()
