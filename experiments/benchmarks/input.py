"""Compares the input of a segmentation network, image and mask ready to batch, with albumentations and Pillow.

    python -m experiments.benchmarks.input [--root FOLDER] [--sizes 128 512 1024]

A sample is an image (3, S, S) and the coverage of its mask (S, S), float32 in [0, 1], rotated by up to 4 degrees,
mirrored in half of the cases, and changed in light by up to 0.05, on one core:

- darkroom: the data set of a stage, whose resized copies are in the cache, with its check that the files have not
  changed;
- albumentations, in memory: the same resized copies as arrays; the same transforms; to tensors, divided by 255;
- Pillow, albumentations: decodes the full-size files, resizes by area means, and continues as above.

Processor time is measured; files are in the system's page cache.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datamodules.cache.cache import ImageCache
from datamodules.cache.encodings import IMAGE
from datamodules.loading.sampler import Key
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.dataset import SegmentDataset
from datamodules.segmentation.label_map import LabelMap
from datamodules.segmentation.mask_encodings import CoverageEncoding
from datamodules.segmentation.samples import Sample, cache_items
from experiments.benchmarks.interleave import Goal, add_arguments, interleave, machine, report
from experiments.benchmarks.noise_images import HEIGHT, WIDTH, write_pairs

OURS, MEMORY, FILES = "darkroom", "albumentations, in memory", "Pillow, albumentations"
#: Goal beside albumentations in memory and beside Pillow, by size.
GOALS = {128: (1.5, 80.0), 512: (1.1, 5.5), 1024: (1.1, 2.0)}
_SAMPLES = 40_000_000  # pixels per measurement of the two forms that decode nothing

Pair = tuple[Tensor, Tensor]
Pixels = NDArray[np.uint8]


def main(argv: Sequence[str]) -> int:
    """Prints a table for each size."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.input", description="Samples of segmentation.")
    parser.add_argument("--root", type=Path, help="Carvana's folder; default: generated images")
    parser.add_argument("--sizes", type=int, nargs="+", choices=GOALS, default=list(GOALS), help="sides in pixels")
    parser.add_argument("--images", type=int, default=4, help="number of images")
    add_arguments(parser)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    print(machine("albumentations", "opencv-python-headless", "pillow", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        root, images = options.root, options.images
        pairs = carvana_pairs(root, images) if root else write_pairs(Path(folder), images)
        return max([measure(pairs, size, Path(folder, "cache"), options) for size in options.sizes])


def measure(pairs: list[tuple[Path, Path]], size: int, cache_folder: Path, options: argparse.Namespace) -> int:
    """Measures the three forms at one size and returns the exit code."""
    encoding = CoverageEncoding(LabelMap({0: 0, 1: 1, 255: 1}))
    samples = [Sample(image.stem, image, mask, encoding, (HEIGHT, WIDTH)) for image, mask in pairs]
    cache = ImageCache(cache_folder, limit_gb=10)
    cache.fill(cache_items({"train": samples}, whole=False), size, workers=1)
    data = SegmentDataset(samples, size=size, cache=cache, augment=Augment(coverage=True), seed=0)
    copies = [(cache.get(s.image, size, IMAGE).copy(), cache.get(s.mask, size, encoding).copy()) for s in samples]
    plain, resizing = transforms(), transforms(A.Resize(size, size, cv2.INTER_AREA, mask_interpolation=cv2.INTER_AREA))
    epochs: Iterator[int] = count()
    forms: dict[str, Callable[[], object]] = {
        OURS: lambda: [data[Key(epoch, index)] for epoch in [next(epochs)] for index in range(len(samples))],
        MEMORY: lambda: [augmented(plain, image, mask) for image, mask in copies],
        FILES: lambda: [augmented(resizing, *decoded(image, mask)) for image, mask in pairs],
    }
    repeats = max(1, _SAMPLES // (size * size * len(samples)))
    measured = interleave(
        forms, options=options, clock="processor", repeats={OURS: repeats, MEMORY: repeats}, title=f"{size} px"
    )
    beside_memory, beside_files = GOALS[size]
    goals = [Goal(OURS, MEMORY, beside_memory), Goal(OURS, FILES, beside_files)]
    return report(f"{len(samples)} images to {size} px", measured, goals, options=options, samples=len(samples))


def transforms(*first: A.BasicTransform) -> A.Compose:
    """The transforms of ``Augment`` by albumentations, preceded by ``first``."""
    turn = A.Rotate(
        limit=(-4, 4),
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_LINEAR,
        border_mode=cv2.BORDER_REFLECT_101,
        p=1.0,
    )
    light = A.RandomBrightnessContrast(brightness_limit=(-0.05, 0.05), contrast_limit=(-0.05, 0.05), p=1.0)
    return A.Compose([*first, turn, A.HorizontalFlip(p=0.5), light, A.ToTensorV2()])


def augmented(compose: A.Compose, image: Pixels, mask: Pixels) -> Pair:
    """One sample of a peer."""
    out: dict[str, Any] = compose(image=image, mask=mask)
    return out["image"].float().div_(255), out["mask"].float().div_(255)


def decoded(image: Path, mask: Path) -> tuple[Pixels, Pixels]:
    """Image ``(H, W, 3)`` and mask ``(H, W)`` of 0 and 255 at full size."""
    with Image.open(image) as photo, Image.open(mask) as drawn:
        values = np.asarray(drawn.convert("L"))
        return np.asarray(photo.convert("RGB")), values if values.max() > 1 else values * np.uint8(255)


def carvana_pairs(root: Path, images: int) -> list[tuple[Path, Path]]:
    """The first images of Carvana's training set with their masks."""
    files = sorted((root / "train").glob("*.jpg"))[:images]
    return [(file, root / "train_masks" / f"{file.stem}_mask.gif") for file in files]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
