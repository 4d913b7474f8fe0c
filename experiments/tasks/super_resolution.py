"""What ``predict`` writes for super-resolution and repairs, from the options of the command line."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser
from numpy.typing import NDArray

from callbacks.prediction.images import ImageFiles
from datamodules.base import loader_processes
from datamodules.index.pairs import list_images
from datamodules.io.image import read_image
from datamodules.io.native_depth import read_extras
from datamodules.prediction.image_list import Listed
from datamodules.prediction.images import ImagePredictData
from experiments.cli.usage import UsageError
from experiments.runs.context import RunContext
from experiments.tasks.spec import Results
from lightning_modules.super_resolution import SuperResolutionModule


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of super-resolution's results."""
    parser.add_argument(
        "--scale",
        type=int | None,
        default=None,
        help="how many times larger: one the network was trained for (default: that of the checkpoint's stage)",
    )
    parser.add_argument(
        "--ensemble", action="store_true", help="average over the 8 symmetries: a little better, 8 times the time"
    )
    parser.add_argument(
        "--strip", action="store_true", help="also write strips: input enlarged by bicubic, result, target if known"
    )
    parser.add_argument(
        "--target", type=Path | None, default=None, help="folder of true images of the same names, for the strips"
    )


def results(context: RunContext, images: Sequence[Listed], folder: Path) -> Results:
    """Says what is read and written, before the first image.

    Raises:
        UsageError: for a scale that the network was not trained for, or options that do not go together.
    """
    model, options = context.model, context.config
    if not isinstance(model, SuperResolutionModule):
        raise TypeError(f"{type(model).__name__} is no SuperResolutionModule")
    if options.target is not None and not options.strip:
        raise UsageError("--target is for the strips: add --strip, or leave --target out")
    if options.scale is not None:
        trained = _trained_scales(context)
        if options.scale not in trained:
            raise UsageError(
                f"--scale {options.scale}: this network was trained for {' and '.join(f'{s}x' for s in trained)}"
            )
        model.set_stage(replace(context.stage, scale=options.scale))
    model.ensemble = model.ensemble or options.ensemble
    workers = loader_processes(context.datamodule.num_workers, processes=context.trainer.num_devices)
    return Results(
        data=ImagePredictData(images=images, num_workers=min(1, workers), keep_originals=options.strip),
        files=ImageFiles(
            folder=folder,
            scale=model.scale,
            extras=read_extras,
            target=_target_reader(options.target) if options.strip else None,
        ),
        waiting=1,  # enlarged images are large
    )


def _trained_scales(context: RunContext) -> list[int]:
    """Those of the stages up to the one that the checkpoint was saved in."""
    stages = context.checkpoint.stages if context.checkpoint else context.stages
    until = stages.index(context.stage) + 1 if context.stage in stages else len(stages)
    return sorted({stage.scale for stage in stages[:until] if stage.scale is not None})


def _target_reader(folder: Path | None) -> Callable[[str], NDArray[np.uint8] | None]:
    """Finds true images by the name of the input, relative and without a suffix.

    Raises:
        UsageError: if there is no such folder.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--target {folder} is not a folder")
    files = list_images(folder) if folder is not None else []
    known = {file.relative_to(folder).with_suffix("").as_posix(): file for file in files if folder is not None}

    def read(name: str) -> NDArray[np.uint8] | None:
        return read_image(known[name]) if name in known else None

    return read
