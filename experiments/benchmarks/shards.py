"""Compares images in tar shards with the same images in a folder.

    python -m experiments.benchmarks.shards [--images 100000] [--shards 16]

Generates small JPEGs, in folders and packed by ``tarfile`` in the same order, and prints the processor time of

- start: finding the images and recording their state when a run starts; for shards the first time, when their headers
  are read, and again with the stored index;
- check: decoding every image once, before the first run;
- samples ready to batch, without the cache of resized images, in turns: from the folder, from shards in the order of a
  complete shuffle, and within a window of shards;

and the private memory of a loader process over two epochs. It grows in the first one, since reading the list of images
counts references, which copies the memory that the process shares with its parent; it must not grow in the second.
"""

import argparse
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch.utils.data import Dataset
from tqdm import tqdm

from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.loading.loader import batch_loader
from datamodules.loading.sampler import Key, TrainBatches
from datamodules.stage import Stage
from experiments.benchmarks.interleave import MISSED, Goal, add_arguments, interleave, machine, report

FOLDER, SHARDS, WINDOW = "folder", "shards", "shards in a window"
STAGE = Stage(name="2x", size=24, scale=2, batch_size=50, epochs=1, lr=1e-3, augment=True)
SIDE = 64  # of the images in pixels
GROWTH = 1.1
_FILES = 1000  # in one folder


def main(argv: Sequence[str]) -> int:
    """Prints the times and the memory."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.shards", description="Tar shards beside a folder.")
    parser.add_argument("--images", type=int, default=10_000, help="number of generated images")
    parser.add_argument("--shards", type=int, default=16, help="number of tar files")
    parser.add_argument("--window", type=int, default=4, help="tar files that are read at a time")
    parser.add_argument("--samples", type=int, default=500, help="samples in one round")
    add_arguments(parser)
    options = parser.parse_args(argv)
    cv2.setNumThreads(0)
    print(machine("simplejpeg", "opencv-python-headless", "numpy"))
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_images(work, options.images, options.shards)
        data = {name: start(work, name, options.window) for name in (FOLDER, SHARDS)}
        start(work, SHARDS, options.window)
        code = compare(data, options)
        return max(code, memory(data[SHARDS]))


def write_images(work: Path, count: int, shards: int) -> None:
    """Writes JPEGs of smooth noise below ``images``, and the same into tar files below ``shards``."""
    random = np.random.default_rng(0)
    (work / "shards").mkdir()
    names = np.array_split(np.arange(count), shards)
    for shard, numbers in enumerate(tqdm(names, desc="writing images", unit="shard")):
        with tarfile.open(work / f"shards/shard-{shard:04}.tar", "w") as tar:
            for number in numbers:
                path = work / f"images/{number // _FILES:04}/{number:07}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                coarse = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
                cv2.imwrite(str(path), cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
                tar.add(path, path.name)


def start(work: Path, name: str, window: int) -> SuperResolutionDataModule:
    """Makes a data module without a cache of resized images, and prints the processor time of its start and check."""
    root = work / ("images" if name == FOLDER else "shards")
    data = SuperResolutionDataModule(
        root=root, cache_dir=work / "cache", cache_gb=0, num_workers=0, val_share=0.01, shard_window=window
    )
    begin = time.process_time()
    found = data.data_root()
    paths = data.stored.images if data.stored else sorted(root.rglob("*.jpg"))
    data.cache.pin(found, paths)
    middle = time.process_time()
    data.load_splits()
    end = time.process_time()
    print(f"{name}: {len(paths)} images, start {middle - begin:.2f} s, check {end - middle:.2f} s of processor time")
    return data


def compare(data: dict[str, SuperResolutionDataModule], options: argparse.Namespace) -> int:
    """Measures samples per second and returns the exit code."""
    sets = {name: module.train_set(STAGE) for name, module in data.items()}

    def samples(name: str, *, windowed: bool = False) -> Callable[[], object]:
        window = data[name].window(STAGE) if windowed else None
        batches = iter(
            TrainBatches(length=options.images - options.images // 100, batch_size=50, seed=1, window=window)
        )
        return lambda: [sets[name][key] for _ in range(options.samples // 50) for key in next(batches)]

    forms = {FOLDER: samples(FOLDER), SHARDS: samples(SHARDS), WINDOW: samples(SHARDS, windowed=True)}
    measured = interleave(forms, options=options, clock="processor", title="samples")
    goals = [Goal(SHARDS, FOLDER, 0.95), Goal(WINDOW, FOLDER, 0.95)]
    return report(f"{options.samples} samples of {SIDE} px", measured, goals, options=options, samples=options.samples)


class _WithMemory(Dataset[dict[str, Any]]):
    """Samples, each with the private memory of the process that loads it."""

    def __init__(self, data: Dataset[dict[str, Any]]) -> None:
        self._data = data

    def __getitem__(self, key: Key) -> dict[str, Any]:
        self._data[key]
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines() if key.index % 50 == 0 else []
        return {"memory": sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))}


def memory(data: SuperResolutionDataModule) -> int:
    """Prints the memory of a loader process during an epoch and returns the exit code."""
    if not Path("/proc/self/smaps_rollup").exists():
        print("memory: only measured on Linux")
        return 0
    data.set_stage(STAGE)
    inner = data.train_set(STAGE)
    batches = TrainBatches(
        length=sum(window.samples) if (window := data.window(STAGE)) else 0, batch_size=50, seed=1, window=window
    )
    loader = batch_loader(_WithMemory(inner), batches, workers=1)
    fifths: list[list[float]] = []
    for _ in range(2):
        readings = [int(kilobytes) / 1e3 for batch in loader for kilobytes in batch["memory"] if kilobytes]
        fifths.append([max(part) for part in np.array_split(readings, 5)])
    first, second = fifths
    images = sum(window.samples) if window else 0
    for name, parts in (("first", first), ("second", second)):
        print(f"memory of a loader process, {name} epoch by fifths: {', '.join(f'{part:.0f}' for part in parts)} MB")
    grown = second[-1] / first[-1]
    verdict = "met" if grown <= GROWTH else "MISSED"
    print(f"growth: {(first[-1] - first[0]) / images * 1e3:.2f} kB for each image in the first epoch")
    print(f"growth in the second epoch: {grown:.2f} times, goal at most {GROWTH:g}: {verdict}")
    return 0 if grown <= GROWTH else MISSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
