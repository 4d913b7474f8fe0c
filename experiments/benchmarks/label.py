"""Counts the strokes that a simulated person needs to label images, with and without help.

    python -m experiments.benchmarks.label --images CARVANA/train --masks CARVANA/train_masks [--limit 20]
        [--work FOLDER [--model.net.pretrained FILE and other options of the fits]]

``raw`` paints only the stroke. ``snap`` moves it to the outline. ``net``, with ``--work``, labels the same images as
the page of ``label`` does, from the first image on: rounds of training start by themselves, and their suggestions are
corrected with snapping strokes. Images are reduced to a longest side of 640 px.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from datamodules.io.image import read_image
from datamodules.segmentation.mask_io import read_mask_values
from experiments.benchmarks.label_loop import label_all
from experiments.benchmarks.simulated_person import GOAL, MOST, Apply, paint, snap_stroke, strokes_needed
from experiments.label.folder import LabelFolder
from experiments.label.scene import Scene
from experiments.label.shapes import Mask

SIDE = 640


def main(argv: Sequence[str]) -> int:
    """Prints the strokes of each image and their mean."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.label", description="Strokes of a simulated person.")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--masks", type=Path, required=True, help="folder of the true masks, 0 background")
    parser.add_argument("--suffix", default="_mask.gif", help="what follows the image's name in that of its mask")
    parser.add_argument("--value", type=int, help="value of the class in the masks (default: all above 0)")
    parser.add_argument("--least", type=float, default=0.0, help="fraction of the image that the class must cover")
    parser.add_argument("--start", type=int, default=0, help="number of images that are left out, the first by name")
    parser.add_argument("--limit", type=int, default=0, help="number of images, evenly spaced; 0 takes all")
    parser.add_argument("--goal", type=float, default=GOAL, help="Dice of a mask that is good enough")
    parser.add_argument("--work", type=Path, help="new folder: labels the images in it, with rounds of training")
    parser.add_argument("--rounds", type=int, default=0, help="largest number of rounds of training; 0 for no limit")
    options, fit_options = parser.parse_known_args(argv)
    paths = _chosen(options)
    truths = {path.stem: _reduced(path, _truth(options, path)) for path in paths}
    counts: dict[str, dict[str, int]] = {"raw": {}, "snap": {}}
    times: list[float] = []
    for path in tqdm(paths, unit="image"):
        image, truth = truths[path.stem]
        counts["raw"][path.stem] = strokes_needed(image, truth, paint, options.goal)
        counts["snap"][path.stem] = strokes_needed(image, truth, _timed(snap_stroke, times), options.goal)
        tqdm.write(f"{path.name}: " + ", ".join(f"{name} {numbers[path.stem]}" for name, numbers in counts.items()))
    if options.work is not None:
        counts["net"] = {}
        _write_images(options.work, {name: image for name, (image, _) in truths.items()})
        with LabelFolder(options.work) as folder:
            labeled = label_all(
                folder,
                lambda item: truths[item.key][1],
                goal=options.goal,
                most_rounds=options.rounds,
                options=fit_options,
            )
            for item, before, strokes in tqdm(labeled, total=len(paths), unit="image"):
                counts["net"][item.key] = strokes
                tqdm.write(f"{item.name}: Dice {before:.3f} before the first stroke, net {strokes}")
    _print_counts(counts, options.goal)
    print(
        f"  processor time of a snapped stroke: {1000 * statistics.median(times):.0f} ms (median), "
        f"{1000 * max(times):.0f} ms at most"
    )
    return 0


def _print_counts(counts: dict[str, dict[str, int]], goal: float) -> None:
    raw = list(counts["raw"].values())
    print(f"strokes until Dice {goal} at {SIDE} px, {len(raw)} images (an image that needs {MOST} is given up)")
    for name, by_image in counts.items():
        numbers = list(by_image.values())
        print(
            f"  {name:5} mean {statistics.mean(numbers):6.1f}  median {statistics.median(numbers):4g}  "
            f"relative to raw {statistics.mean(numbers) / statistics.mean(raw):.2f}  "
            f"given up {sum(number >= MOST for number in numbers)}"
        )


def _chosen(options: argparse.Namespace) -> list[Path]:
    paths = sorted(path for path in options.images.iterdir() if path.is_file())[options.start :]
    if options.least:
        paths = [path for path in paths if _truth(options, path).mean() > options.least]
    if not options.limit:
        return paths
    return [
        paths[number] for number in np.linspace(0, len(paths) - 1, min(options.limit, len(paths))).round().astype(int)
    ]


def _timed(apply: Apply, times: list[float]) -> Apply:
    def timed(scene: Scene, stroke: Mask, radius: float, add: bool) -> Mask:
        start = time.process_time()
        result = apply(scene, stroke, radius, add)
        times.append(time.process_time() - start)
        return result

    return timed


def _truth(options: argparse.Namespace, image: Path) -> Mask:
    values = read_mask_values(options.masks / f"{image.stem}{options.suffix}")
    return np.asarray(values > 0 if options.value is None else values == options.value)


def _reduced(path: Path, truth: Mask) -> tuple[NDArray[np.uint8], Mask]:
    image, mask = read_image(path), truth.astype(np.float32)
    scale = min(1.0, SIDE / max(mask.shape))
    size = (round(mask.shape[1] * scale), round(mask.shape[0] * scale))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA) >= 0.5)


def _write_images(folder: Path, images: dict[str, NDArray[np.uint8]]) -> None:
    folder.mkdir(parents=True)
    for name, image in images.items():
        Image.fromarray(image).save(folder / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
