"""What ``predict`` writes for segmentation, from the options of the command line."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser, Namespace

from callbacks.prediction.segmentation import KINDS, NEEDS_IMAGE, SegmentationFiles
from callbacks.prediction.writer import Table
from callbacks.visualization.masks import palette
from datamodules.base import loader_processes
from datamodules.io.image import read_image
from datamodules.io.rle import encode_rle
from datamodules.prediction.image_list import Listed
from datamodules.prediction.predict_set import PredictData
from experiments.cli.usage import UsageError, unknown
from experiments.runs.context import RunContext
from experiments.tasks.spec import Results
from lightning_modules.segmentation import SegmentationModule

SUBMISSION = "submission"
WITHOUT_CHOICE = "mask,cutout,overlay"

# Images at their own size are in memory too, a few batches of them.
_LARGEST_BATCH = 8


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of segmentation's results."""
    parser.add_argument(
        "--outputs",
        type=str | None,
        default=None,
        help=f"what to write, with commas: {', '.join((*KINDS, SUBMISSION))} (default: {WITHOUT_CHOICE}, "
        "and composite where there is a --background; submission is Kaggle's submission.csv)",
    )
    parser.add_argument(
        "--background", type=Path | None, default=None, help="image to put behind cut-outs, scaled to cover"
    )
    parser.add_argument(
        "--cut", type=str | None, default=None, help="of several classes, those that cut-outs keep, with commas"
    )
    parser.add_argument(
        "--flip", action="store_true", help="average with the mirrored image: a little better, twice the time"
    )


def results(context: RunContext, images: Sequence[Listed], folder: Path) -> Results:
    """Says what is read and written, before the first image.

    Raises:
        UsageError: for an output or a class that does not exist, or outputs that do not go together.
        DataError: if the background cannot be read.
    """
    model = context.model
    if not isinstance(model, SegmentationModule):
        raise TypeError(f"{type(model).__name__} is no SegmentationModule")
    wanted = SegmentResults(options=context.config, model=model, images=images, folder=folder)
    trainer = context.trainer
    data = PredictData(
        images=images,
        size=context.stage.size,
        batch_size=max(1, min(_LARGEST_BATCH, context.stage.batch_size // trainer.world_size)),
        num_workers=loader_processes(context.datamodule.num_workers, processes=trainer.num_devices),
        keep_originals=wanted.needs_images,
    )
    return Results(data=data, files=wanted.files, table=wanted.table)


class SegmentResults:
    """The files and the table that were asked for, checked before the first image.

    Args:
        options: the command line's.
        model: the network with its classes and threshold; its ``flip`` is set as asked.
        images: what will be predicted.
        folder: where results go.

    Raises:
        UsageError: for an output or a class that does not exist, or outputs that do not go together.
        DataError: if the background cannot be read.
    """

    def __init__(
        self, *, options: Namespace, model: SegmentationModule, images: Sequence[Listed], folder: Path
    ) -> None:
        background = None if options.background is None else read_image(options.background)
        kinds = _kinds(options.outputs, background=background is not None, classes=model.classes, cut=options.cut)
        self.table: Table | None = None
        if SUBMISSION in kinds:
            _check_submission(images, model.classes)
            self.table = Table(path=folder / "submission.csv", header="img,rle_mask")
        model.flip = model.flip or options.flip
        self.files = SegmentationFiles(
            folder=folder,
            kinds=frozenset(kinds) - {SUBMISSION},
            classes=model.classes,
            colors=np.array(palette(len(model.classes)), np.uint8),
            threshold=model.threshold,
            cut=_cut(options.cut, model.classes),
            background=background,
            run_lengths=encode_rle if self.table else None,
        )
        self.needs_images = bool(self.files.kinds & NEEDS_IMAGE)


def _kinds(text: str | None, *, background: bool, classes: Sequence[str], cut: str | None) -> set[str]:
    several = len(classes) > 1
    if text is None:
        kinds = {"mask", "overlay"} if several and cut is None else set(WITHOUT_CHOICE.split(","))
        if background:
            kinds.add("composite")
    else:
        kinds = {word.strip() for word in text.split(",") if word.strip()}
        if not kinds:
            raise UsageError(f"--outputs names nothing: choose from {', '.join((*KINDS, SUBMISSION))}")
    for kind in sorted(kinds):
        if kind not in (*KINDS, SUBMISSION):
            raise unknown("output", kind, (*KINDS, SUBMISSION))
    if "composite" in kinds and not background:
        raise UsageError("--outputs composite needs an image to put behind: add --background FILE")
    if background and "composite" not in kinds:
        raise UsageError("--background is for composites: add composite to --outputs, or leave --background out")
    if several and cut is None and kinds & {"cutout", "composite"}:
        raise UsageError(f"which classes shall cut-outs keep? Add --cut with some of: {', '.join(classes)}")
    return kinds


def _cut(text: str | None, classes: Sequence[str]) -> list[int]:
    if text is None:
        return [0]
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in classes:
            raise unknown("class", word, classes)
    return [classes.index(word) for word in words]


def _check_submission(images: Sequence[Listed], classes: Sequence[str]) -> None:
    if len(classes) > 1:
        raise UsageError(f"a submission is for one class; this network knows {len(classes)}: {', '.join(classes)}")
    (name, times), *_ = Counter(listed.path.name for listed in images).most_common(1)
    if times > 1:
        raise UsageError(
            f"a submission names images by their file name alone, and {times} are called '{name}': "
            "rename them, or predict their folders one at a time"
        )
