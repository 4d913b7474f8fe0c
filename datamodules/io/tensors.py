"""Images and masks as tensors: bytes, or floats in [0, 1]."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Converts ``(H, W, 3)`` uint8 to ``(3, H, W)`` float32 in [0, 1]."""
    return unit_range(byte_tensor(image))


def byte_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Converts ``(H, W, 3)`` uint8 to ``(3, H, W)`` uint8."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def unit_range(values: Tensor) -> Tensor:
    """Converts uint8 (0 to 255) of any shape to float32 in [0, 1]."""
    return values.float().div_(255)
