"""Generated images of the size of Carvana's, with masks, for benchmarks that are given no data."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

WIDTH, HEIGHT = 1918, 1280  # Carvana's


def write_images(folder: Path, count: int) -> list[Path]:
    """Writes JPEGs of 1/f noise, which has detail at every scale like natural images, of about 120 kB as Carvana's."""
    generator = np.random.default_rng(0)
    paths = [folder / f"{index:03}.jpg" for index in range(count)]
    for path in tqdm(paths, desc="writing images", unit="file", leave=False):
        pixels = np.full((HEIGHT, WIDTH, 3), 127, np.float32)
        for cells in (4, 16, 64, 256, 1024):
            noise = generator.normal(0, 80 / cells**0.7, (cells, cells, 3)).astype(np.float32)
            pixels += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=85)
    return paths


def write_pairs(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """Writes images as ``write_images``, and for each a mask of 0 and 255: a blob in the middle, as GIF."""
    generator = np.random.default_rng(1)
    pairs = []
    for image in write_images(folder, count):
        field = cv2.resize(generator.normal(0, 0.3, (8, 8)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
        mask = (rows**2 + columns**2 + field < 0.5).astype(np.uint8) * np.uint8(255)
        path = folder / f"{image.stem}_mask.gif"
        Image.fromarray(mask).save(path)
        pairs.append((image, path))
    return pairs
