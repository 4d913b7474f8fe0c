"""What ``predict`` writes for style, from the options of the command line."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from callbacks.prediction.blend import blend
from callbacks.prediction.images import ImageFiles
from callbacks.prediction.repainted_files import RepaintedFiles
from datamodules.base import loader_processes
from datamodules.io.native_depth import read_extras, read_native_depth
from datamodules.prediction.image_list import Listed
from datamodules.prediction.images import ImagePredictData
from experiments.cli.usage import UsageError
from experiments.runs.context import RunContext
from experiments.tasks.spec import Results, VideoLook
from lightning_modules.style import StyleModule

_MOST_SMOOTH = 0.98  # fifty frames or so
_RANDOM = "painted by a network that learned from random features, not from those of a trained VGG"


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of style's results."""
    parser.add_argument("--strength", type=float, default=1.0, help="from 0, the image, to 1, as the network paints it")
    parser.add_argument(
        "--keep_colors", action="store_true", help="keep the image's colors and repaint its brightness only"
    )
    parser.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        help="videos: share of the past in what stands still, against flicker, from 0 to below 1; 0.8 is a good start",
    )
    parser.add_argument(
        "--tile",
        type=int | None,
        default=None,
        help="side in pixels of the pieces that large images go through in (default: the checkpoint's). Strokes and "
        "palette are those of whole images: make it as large as memory allows",
    )


def results(context: RunContext, images: Sequence[Listed], folder: Path) -> Results:
    """Says what is read and written, before the first image.

    Raises:
        UsageError: for an option out of its range.
    """
    model, options = context.model, context.config
    if not isinstance(model, StyleModule):
        raise TypeError(f"{type(model).__name__} is no StyleModule")
    if not 0 <= options.strength <= 1:
        raise UsageError(f"--strength {options.strength:g}: must lie between 0 and 1")
    if not 0 <= options.smooth <= _MOST_SMOOTH:
        raise UsageError(f"--smooth {options.smooth:g}: must lie between 0 and {_MOST_SMOOTH}")
    if options.tile is not None:
        try:
            model.tile = options.tile
        except ValueError as error:
            raise UsageError(f"--tile {options.tile}: {error}") from error
    workers = loader_processes(context.datamodule.num_workers, processes=context.trainer.num_devices)
    return Results(
        data=ImagePredictData(images=images, num_workers=min(1, workers), keep_originals=False),
        files=RepaintedFiles(
            files=ImageFiles(folder=folder, scale=1, extras=read_extras),
            colors=read_native_depth,
            strength=options.strength,
            keep_colors=options.keep_colors,
        ),
        waiting=2,  # whole images are large
        remark=_RANDOM if model.loss.random else "",
    )


def video_look(context: RunContext) -> VideoLook:
    """Says how frames are finished; ``results`` has looked at the options by then."""
    options: Any = context.config
    finish = partial(blend, strength=options.strength, keep_colors=options.keep_colors)
    return VideoLook(finish=finish, smooth=options.smooth)
