"""Measures the Dice of masks reduced to the size of a stage and enlarged again: what the size alone costs.

    python -m experiments.benchmarks.masks [--root FOLDER]

"soft" is what training stores, the covered fraction of each pixel, enlarged as ``predict`` enlarges probabilities and
cut at one half. "nearest" stores 0 or 1 by exact nearest neighbor, enlarged in the same way. The goals are for "soft".
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from callbacks.prediction.matting import resize_probability
from datamodules.io.resize import resize_classes, resize_coverage
from datamodules.segmentation.mask_io import read_mask_values
from experiments.benchmarks.interleave import MISSED
from experiments.benchmarks.noise_images import write_pairs
from experiments.benchmarks.simulated_person import dice

GOALS = {128: 0.997, 512: 0.9997, 1024: 0.9999}


def main(argv: Sequence[str]) -> int:
    """Prints the table and returns the exit code."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.masks", description="Dice of resized masks.")
    parser.add_argument("--root", type=Path, help="folder of masks with 0 as background; default: generated blobs")
    parser.add_argument("--images", type=int, default=16, help="number of masks")
    options = parser.parse_known_args(argv)[0]  # `all` passes the options of the others
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(options.root.iterdir())[: options.images] if options.root else []
        paths = paths or [mask for _, mask in write_pairs(Path(folder), options.images)]
        masks = [(read_mask_values(path) > 0).astype(np.uint8) for path in paths]
    print(f"mean Dice of {len(masks)} masks\n{'size':>6}{'soft':>10}{'nearest':>10}{'goal':>10}")
    met = []
    for size, goal in GOALS.items():
        soft = float(np.mean([dice(restore(resize_coverage(mask, size), mask.shape, 255), mask > 0) for mask in masks]))
        hard = float(np.mean([dice(restore(resize_classes(mask, size), mask.shape, 1), mask > 0) for mask in masks]))
        met.append(soft >= goal)
        print(f"{size:6}{soft:10.5f}{hard:10.5f}{goal:10g}  {'met' if met[-1] else 'MISSED'}")
    return 0 if all(met) else MISSED


def restore(small: NDArray[np.uint8], shape: tuple[int, ...], top: int) -> NDArray[np.bool_]:
    """Enlarges a reduced mask, whose full value is ``top``, to ``shape`` and cuts it at one half."""
    return resize_probability(small.astype(np.float32) / np.float32(top), (shape[0], shape[1])) >= 0.5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
