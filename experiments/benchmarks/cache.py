"""Compares the time to read an image from the cache with decoding its JPEG.

    python -m experiments.benchmarks.cache [--root FOLDER] [--size 128]

Three ways to get a small RGB square, measured in turns in one process so that other load affects all of them:

- Pillow: decode the whole JPEG, resize with Pillow (bicubic, its default);
- reduced: decode at 1/2, 1/4 or 1/8, then area means, as Darkroom does for an image that is not cached;
- cache: read the cached file and check its checksum, with the file in the system's page cache.

Ends with exit code 1 if the cache is less than 30 times as fast as Pillow.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from datamodules.cache.cache import ImageCache, Item
from datamodules.cache.encodings import ImageEncoding
from experiments.benchmarks.noise_images import write_images

REQUIRED = 30.0


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.cache", description="Cached images against JPEGs.")
    parser.add_argument("--root", type=Path, help="folder of JPEGs, searched recursively; default: generated noise")
    parser.add_argument("--size", type=int, default=128, help="side of the squares in pixels")
    parser.add_argument("--images", type=int, default=24, help="number of images")
    parser.add_argument("--rounds", type=int, default=7, help="passes over all images")
    options = parser.parse_args(argv)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(options.root.rglob("*.jpg"))[: options.images] if options.root else []
        paths = paths or write_images(Path(folder), options.images)
        cache = ImageCache(Path(folder, "cache"), limit_gb=10)
        cache.fill([Item(path, ImageEncoding()) for path in paths], options.size, workers=1)
        seconds = measure(paths, options.size, cache, rounds=options.rounds)
    print(f"{len(paths)} JPEGs to {options.size} px, {options.rounds} rounds, one core; Pillow {PIL.__version__}")
    return report(seconds)


def measure(paths: list[Path], size: int, cache: ImageCache, *, rounds: int) -> dict[str, list[float]]:
    """Seconds per image for each of the three ways, one value per round."""
    encoding = ImageEncoding()
    ways: dict[str, Callable[[Path], object]] = {
        "Pillow": lambda path: decode_with_pillow(path, size),
        "reduced": lambda path: encoding.encode(path, size),
        "cache": lambda path: cache.get(path, size, encoding),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(rounds), desc="measuring", unit="round"):
        for name, way in ways.items():
            start = time.perf_counter()
            for path in paths:
                way(path)
            seconds[name].append((time.perf_counter() - start) / len(paths))
    return seconds


def report(seconds: dict[str, list[float]]) -> int:
    """Prints medians and ratios; returns the exit code."""
    medians = {name: median(rounds) for name, rounds in seconds.items()}
    print(f"{'way':<10}{'ms per image':>14}{'images/s':>12}{'times Pillow':>14}")
    for name, value in medians.items():
        print(f"{name:<10}{value * 1e3:>14.3f}{1 / value:>12.0f}{medians['Pillow'] / value:>14.1f}")
    reached = medians["Pillow"] / medians["cache"]
    print(f"required speedup of the cache: {REQUIRED:g}, measured: {reached:.0f}")
    return 0 if reached >= REQUIRED else 1


def decode_with_pillow(path: Path, size: int) -> NDArray[np.uint8]:
    """Decodes the whole image and resizes it with Pillow."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
