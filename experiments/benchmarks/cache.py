"""Compares building and reading the cache with decoding JPEGs by Pillow.

    python -m experiments.benchmarks.cache [--root FOLDER] [--sizes 128 512 1024]

Three ways to get a small RGB square, on one core:

- Pillow: opens the file, converts to RGB, resizes with Pillow (bicubic, its default);
- build: decodes the file and takes area means, as ``prepare`` does for every image, without writing the cache file;
- read: maps the cache file into memory and compares its checksum, as a process does at its first use.

Processor time is measured; files are in the system's page cache. The fidelity of ``build`` is its PSNR beside area
means of all pixels as Pillow decodes them. A PSNR below 39 dB is a missed goal.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from datamodules.cache.cache import ImageCache, Item
from datamodules.cache.encodings import IMAGE
from datamodules.io.resize import resize_image
from experiments.benchmarks.interleave import MISSED, Goal, add_arguments, interleave, machine, report
from experiments.benchmarks.noise_images import write_images

PILLOW, BUILD, READ = "Pillow", "build", "read"
#: Times as fast as Pillow, by size: building the cache, reading it.
BUILD_GOALS, READ_GOALS = {512: 2.2, 1024: 1.8}, {128: 30.0}
FIDELITY = 39.0  # dB


def main(argv: Sequence[str]) -> int:
    """Prints a table for each size."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.cache", description="The cache beside Pillow.")
    parser.add_argument("--root", type=Path, help="folder of JPEGs, searched recursively; default: generated noise")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512, 1024], help="sides of the squares in pixels")
    parser.add_argument("--images", type=int, default=4, help="number of images")
    add_arguments(parser)
    options = parser.parse_args(argv)
    cv2.setNumThreads(0)
    print(machine("pillow", "simplejpeg", "opencv-python-headless", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(options.root.rglob("*.jpg"))[: options.images] if options.root else []
        paths = paths or write_images(Path(folder), options.images)
        return max([measure(paths, size, Path(folder, "cache"), options) for size in options.sizes])


def measure(paths: list[Path], size: int, folder: Path, options: argparse.Namespace) -> int:
    """Measures the three ways at one size and returns the exit code."""
    ImageCache(folder, limit_gb=10).fill([Item(path, IMAGE) for path in paths], size, workers=1)

    def read() -> None:
        cache = ImageCache(folder, limit_gb=10)  # has mapped nothing yet
        for path in paths:
            cache.get(path, size, IMAGE)

    forms: dict[str, Callable[[], object]] = {
        PILLOW: lambda: [decode_with_pillow(path, size) for path in paths],
        BUILD: lambda: [IMAGE.encode(path, size) for path in paths],
        READ: read,
    }
    measured = interleave(forms, options=options, clock="processor", repeats={READ: 10}, title=f"{size} px")
    goals = [Goal(BUILD, PILLOW, BUILD_GOALS[size])] if size in BUILD_GOALS else []
    goals += [Goal(READ, PILLOW, READ_GOALS[size])] if size in READ_GOALS else []
    code = report(f"{len(paths)} JPEGs to {size} px", measured, goals, options=options, samples=len(paths))
    with np.errstate(divide="ignore"):  # equal pixels have an infinite PSNR
        decibels = min(peak_signal_noise_ratio(area_means(path, size), IMAGE.encode(path, size)) for path in paths)
    verdict = "met" if decibels >= FIDELITY else "MISSED"
    print(f"fidelity of build: {decibels:.1f} dB or more, goal {FIDELITY:g}: {verdict}")
    return code if decibels >= FIDELITY else max(code, MISSED)


def decode_with_pillow(path: Path, size: int) -> NDArray[np.uint8]:
    """Decodes the whole image and resizes it with Pillow."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size)))


def area_means(path: Path, size: int) -> NDArray[np.uint8]:
    """Decodes the whole image with Pillow and takes area means."""
    with Image.open(path) as image:
        return resize_image(np.asarray(image.convert("RGB")), size)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
