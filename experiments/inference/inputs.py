"""The kinds of images that a predictor accepts, and their pixels."""

from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datamodules.errors import DataError
from datamodules.io.home_folder import expand_home

#: One image; a tensor (N, 3, H, W) holds N of them.
ImageInput = Image.Image | str | PathLike[str] | NDArray[Any] | Tensor


def as_path(image: ImageInput) -> Path | None:
    """Returns the path if the input is a file.

    Raises:
        DataError: if it is a URL.
    """
    if not isinstance(image, str | PathLike):
        return None
    if "://" in fspath(image):
        raise DataError(f"{fspath(image)} is a URL: download the file and name its path")
    return expand_home(image)


def check_array(array: NDArray[Any], *, dtypes: tuple[type[np.generic], ...]) -> None:
    """Checks an image given as an array.

    Raises:
        DataError: naming shape or dtype, and what is expected.
    """
    names = " or ".join(dtype.__name__ for dtype in dtypes)
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise DataError(f"an array must be (H, W, 3) RGB, {names}; this one has the shape {array.shape}")
    if array.dtype.type not in dtypes:
        raise DataError(f"an array must be {names} from 0 to its maximum; this one is {array.dtype}")


def check_tensor(images: Tensor) -> None:
    """Checks images given as a tensor.

    Raises:
        DataError: naming shape, dtype or range, and what is expected.
    """
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise DataError(f"a tensor must be (N, 3, H, W) RGB in [0, 1]; this one has the shape {tuple(images.shape)}")
    if not images.is_floating_point():
        raise DataError(f"a tensor must hold floats in [0, 1]; this one is {images.dtype}: divide it by 255")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # this form refuses nan too
        raise DataError(f"a tensor must lie in [0, 1]; this one goes from {low:g} to {high:g}")


def to_uint8(images: Tensor) -> list[NDArray[np.uint8]]:
    """Rounds images (N, 3, H, W) in [0, 1] to N arrays (H, W, 3)."""
    levels = images.detach().float().mul(255).round().byte().cpu()
    return [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in levels]
