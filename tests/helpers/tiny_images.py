"""Tiny data sets in common layouts."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

WIDTH, HEIGHT = 48, 32


def noise(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A smooth colored image, another one for every seed."""
    coarse = np.random.default_rng(seed).integers(40, 215, (4, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def enlarge(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """An image ``scale`` times larger by bicubic interpolation (a = -0.5)."""
    size = image.shape[1] * scale, image.shape[0] * scale
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def disc(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A mask of 0 and 1 with one disc at a random position."""
    row, column = np.random.default_rng(seed).integers(10, (height - 10, width - 10))
    rows, columns = np.mgrid[:height, :width]
    return (((rows - row) ** 2 + (columns - column) ** 2) < 64).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Writes an image and creates its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95, subsampling=0)  # both for JPEG only
    return path


def carvana(root: Path, *, cars: int = 5, views: int = 2) -> Path:
    """Kaggle's layout with masks as gray GIFs."""
    for car in range(cars):
        for view in range(views):
            seed, name = car * 100 + view, f"car{car}_{view + 1:02}"
            save(root / "train" / f"{name}.jpg", noise(seed))
            save(root / "train_masks" / f"{name}_mask.gif", disc(seed) * np.uint8(255))
    return root


def folders(root: Path, *, count: int = 6, images: str = "images", masks: str = "masks", value: int = 1) -> Path:
    """Two folders with PNG masks that hold 0 and ``value``."""
    for number in range(count):
        save(root / images / f"p{number}.png", noise(number))
        save(root / masks / f"p{number}.png", disc(number) * np.uint8(value))
    return root


def save_images(root: Path, count: int = 10, height: int = 40, width: int = 60) -> Path:
    """Writes images into three folders below ``root``, as class folders are."""
    for number in range(count):
        save(root / f"n{number % 3}" / f"p{number}.png", noise(number, height, width))
    return root


def pixels(tensor: Tensor) -> np.ndarray:  # type: ignore[type-arg]
    return (tensor * 255).round().byte().permute(1, 2, 0).numpy()
