"""Measures ``predict`` for segmentation: 20 images of 1918 x 1280 to masks, cut-outs and overlays.

    python -m experiments.benchmarks.predict CHECKPOINT [--root FOLDER]

Two forms of the same work, with the same network and the same files as results:

- darkroom: as ``predict`` runs it; a process reads images, threads write files, while the network computes, whose
  batch norms are folded into its convolutions;
- one after another: reads an image, computes its mask, writes its files, then takes the next.

Wall time is measured, without the start of Python. A goal is the time of an image on two cores. The processor time of
an image, of all processes and threads, shows how much other load on the machine has cost.
"""

import argparse
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from statistics import median

import numpy as np
import torch
from lightning import Trainer

from callbacks.prediction.segmentation import SegmentationFiles
from callbacks.prediction.writer import PredictionWriter, SourceImage
from callbacks.visualization.masks import palette
from datamodules.io.image import read_image
from datamodules.io.resize import resize_image
from datamodules.io.tensors import image_tensor
from datamodules.loading.loader import loader_processes
from datamodules.prediction.datamodule import PredictDataModule
from datamodules.prediction.image_list import Listed
from experiments.benchmarks.interleave import MISSED, Goal, add_arguments, interleave, machine, report
from experiments.benchmarks.noise_images import write_images
from experiments.runs.trained_module import trained_module
from experiments.tasks.segment_outputs import DEFAULT_OUTPUTS
from lightning_modules.segmentation import SegmentationModule
from models.fold_batch_norm import fold_batch_norm_

OURS, PLAIN = "darkroom", "one after another"
SECONDS = 0.15  # goal for an image


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.predict", description="Time of predict.")
    parser.add_argument("checkpoint", type=Path, help="of segmentation, in a stage without crop")
    parser.add_argument("--root", type=Path, help="folder of JPEGs; default: generated noise")
    parser.add_argument("--images", type=int, default=20, help="number of images")
    parser.add_argument("--size", type=int, default=256, help="side of the network's input in pixels")
    add_arguments(parser)
    options = parser.parse_args(argv)
    module = trained_module("segment", options.checkpoint, SegmentationModule)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # of Lightning, at each call
    print(machine("lightning", "simplejpeg", "pillow", "opencv-python-headless"))
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(options.root.glob("*.jpg"))[: options.images] if options.root else []
        paths = paths or write_images(Path(folder), options.images)
        files = SegmentationFiles(
            folder=Path(folder, "results"),
            kinds=frozenset(DEFAULT_OUTPUTS),
            classes=module.classes,
            colors=np.array(palette(len(module.classes)), np.uint8),
            threshold=module.threshold,
            read=read_image,
        )
        plain = deepcopy(module.eval())
        fold_batch_norm_(module.net)
        forms = {
            OURS: lambda: overlapped(module, files, paths, options.size),
            PLAIN: lambda: one_after_another(plain, files, paths, options.size),
        }
        measured = interleave(forms, options=options)
        before = processor_seconds()
        forms[OURS]()
        processor = processor_seconds() - before
    title = f"{len(paths)} images to {options.size} px"
    code = report(title, measured, [Goal(OURS, PLAIN, 1.2)], options=options, samples=len(paths))
    seconds = median(measured.seconds[OURS]) / len(paths)
    print(f"{seconds:.3f} s an image, goal {SECONDS:g}: {'met' if seconds <= SECONDS else 'MISSED'}")
    print(f"processor time of an image: {processor / len(paths):.3f} s")
    return code if seconds <= SECONDS else max(code, MISSED)


def processor_seconds() -> float:
    """Processor time of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def overlapped(module: SegmentationModule, files: SegmentationFiles, paths: Sequence[Path], size: int) -> None:
    """Predicts all images as the command does."""
    data = PredictDataModule(
        images=[Listed(path=path, name=path.stem) for path in paths],
        size=size,
        batch_size=1,
        num_workers=loader_processes("auto", processes=1),
        keep_originals=False,
    )
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[PredictionWriter(files=files)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
    )
    trainer.predict(module, datamodule=data, return_predictions=False)


def one_after_another(module: SegmentationModule, files: SegmentationFiles, paths: Sequence[Path], size: int) -> None:
    """Predicts one image after another."""
    for path in paths:
        pixels = read_image(path)
        image = image_tensor(resize_image(read_image(path, for_size=size), size))
        with torch.inference_mode():
            probs = module(image[None])[0].numpy()
        files.write(probs, SourceImage(name=path.stem, path=str(path), size=pixels.shape[:2], pixels=pixels))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
