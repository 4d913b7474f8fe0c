"""Images and masks as tensors: bytes, or floats in [0, 1]."""

from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Pixels as stored, 0 to 255 or 0 to 65535.
Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Array = TypeVar("Array", bound=NDArray[Any])


def image_tensor(image: Pixels) -> Tensor:
    """Converts ``(H, W, C)`` uint8 or uint16 to ``(C, H, W)`` float32 in [0, 1]."""
    if image.dtype == np.uint16:
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32)).div_(65535)
    return unit_range(compact_tensor(image))


def compact_tensor(image: Pixels) -> Tensor:
    """Converts ``(H, W, C)`` to ``(C, H, W)``: uint8 stays, uint16 becomes float32 in [0, 1]."""
    if image.dtype == np.uint16:
        return image_tensor(image)
    planes = np.empty((image.shape[2], *image.shape[:2]), np.uint8)
    cv2.split(image, list(planes))  # ten times as fast as a copy of the transposed array
    return torch.from_numpy(planes)


def unit_range(values: Tensor) -> Tensor:
    """Converts uint8 (0 to 255) of any shape to float32 in [0, 1]."""
    # NumPy asks for large memory pages, which torch does not: a large new tensor costs more time than the division.
    floats = torch.from_numpy(np.empty(values.shape, np.float32))
    return floats.copy_(values).div_(255)


def writable(pixels: Array) -> Array:
    """Copies an array that may not be written to, as those of the cache; torch and some transforms refuse it."""
    return pixels if pixels.flags.writeable else pixels.copy()
