"""Segmentation: figures, options and files of ``predict``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser

from callbacks.prediction.segmentation import KINDS, NEEDS_IMAGE, SegmentationFiles
from callbacks.prediction.writer import Table
from callbacks.visualization.masks import palette
from callbacks.visualization.segmentation import SegmentationFigures
from datamodules.base import ImageDataModule
from datamodules.io.image import read_image
from datamodules.io.rle import encode_rle
from datamodules.prediction.datamodule import PredictDataModule
from datamodules.prediction.image_list import Listed
from experiments.cli.usage import UsageError, unknown
from experiments.runs.checkpoint import InitialWeights
from experiments.tasks.spec import Link, PredictOutput, PredictRequest, TaskSpec
from lightning_modules.segmentation import SegmentationModule
from models.segmentation.initial_weights import load_initial_
from models.weights.partial_load import PartialLoad

SUBMISSION = "submission"
DEFAULT_OUTPUTS = ("mask", "cutout", "overlay")

#: Images of a batch are in memory at their own size too.
_MAX_BATCH = 8


class SegmentationSpec(TaskSpec[SegmentationModule]):
    """Finds the pixels of one class, or tells several classes apart."""

    module = SegmentationModule
    monitor = "val/dice"
    mode = "max"
    scores = ("val/dice", "val/iou", "val/accuracy", "val/loss")
    links = (
        Link(source="data.class_names", target="model.classes"),
        Link(source="data.class_names", target="model.net.init_args.classes", compute=len),
    )

    def figures(self, model: SegmentationModule, data: ImageDataModule) -> SegmentationFigures:  # noqa: ARG002
        """Draws masks over images, and precision-recall curves."""
        return SegmentationFigures(classes=model.classes, threshold=model.threshold)

    def load_fitting_(self, model: SegmentationModule, weights: InitialWeights) -> PartialLoad:
        """Loads every tensor that fits; the head keeps the rows of classes with the same names.

        Raises:
            WeightsError: if no tensor fits.
        """
        return load_initial_(model.net, weights.tensors, classes=model.classes, given_classes=weights.classes)

    def add_predict_arguments(self, parser: ArgumentParser) -> None:
        """Adds the kinds of output, the background of composites, and test-time augmentation."""
        parser.add_argument(
            "--outputs",
            type=str | None,
            default=None,
            help=f"what to write, separated by commas: {', '.join((*KINDS, SUBMISSION))} (default: "
            f"{','.join(DEFAULT_OUTPUTS)}, and composite with a --background; submission is Kaggle's submission.csv)",
        )
        parser.add_argument(
            "--background", type=Path | None, default=None, help="image to put behind cut-outs, scaled to cover"
        )
        parser.add_argument(
            "--cut", type=str | None, default=None, help="of several classes, those to cut out, separated by commas"
        )
        parser.add_argument(
            "--flip", action="store_true", help="average with the mirrored image: slightly better, twice as slow"
        )

    def predict_output(self, model: SegmentationModule, request: PredictRequest) -> PredictOutput:
        """Reads images in batches at the size of the stage and writes the kinds of files that were asked for.

        Raises:
            UsageError: for an output or a class that does not exist, or outputs that do not go together.
            DataError: if the background cannot be read.
        """
        options, classes = request.options, model.classes
        background = None if options.background is None else read_image(options.background)
        kinds = _kinds(options.outputs, background=background is not None, classes=classes, cut=options.cut)
        table: Table | None = None
        if SUBMISSION in kinds:
            _check_submission(request.images, classes)
            table = Table(path=request.folder / "submission.csv", header="img,rle_mask")
        model.flip = model.flip or options.flip
        files = SegmentationFiles(
            folder=request.folder,
            kinds=frozenset(kinds) - {SUBMISSION},
            classes=classes,
            colors=np.array(palette(len(classes)), np.uint8),
            threshold=model.threshold,
            cutout_classes=_cut_classes(options.cut, classes),
            background=background,
            run_lengths=encode_rle if table else None,
        )
        data = PredictDataModule(
            images=request.images,
            size=request.stage.size,
            batch_size=max(1, min(_MAX_BATCH, request.stage.batch_size // request.ranks)),
            num_workers=request.num_workers,
            keep_originals=bool(files.kinds & NEEDS_IMAGE),
        )
        return PredictOutput(data=data, files=files, table=table, waiting=8)


def _kinds(text: str | None, *, background: bool, classes: Sequence[str], cut: str | None) -> set[str]:
    several = len(classes) > 1
    if text is None:
        kinds = {"mask", "overlay"} if several and cut is None else set(DEFAULT_OUTPUTS)
        if background:
            kinds.add("composite")
    else:
        kinds = _words(text)
        if not kinds:
            raise UsageError(f"--outputs is empty: choose from {', '.join((*KINDS, SUBMISSION))}")
    for kind in sorted(kinds):
        if kind not in (*KINDS, SUBMISSION):
            raise unknown("output", kind, (*KINDS, SUBMISSION))
    if "composite" in kinds and not background:
        raise UsageError("--outputs composite needs an image to put behind: add --background FILE")
    if background and "composite" not in kinds:
        raise UsageError("--background is for composites: add composite to --outputs, or leave --background out")
    if several and cut is None and kinds & {"cutout", "composite"}:
        raise UsageError(f"which classes should cut-outs keep? Add --cut with some of: {', '.join(classes)}")
    return kinds


def _cut_classes(text: str | None, classes: Sequence[str]) -> list[int]:
    if text is None:
        return [0]
    words = _words(text)
    for word in sorted(words):
        if word not in classes:
            raise unknown("class", word, classes)
    return [number for number, name in enumerate(classes) if name in words]


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")} - {""}


def _check_submission(images: Sequence[Listed], classes: Sequence[str]) -> None:
    if len(classes) > 1:
        raise UsageError(f"a submission has one class; this network has {len(classes)}: {', '.join(classes)}")
    (name, times), *_ = Counter(listed.path.name for listed in images).most_common(1)
    if times > 1:
        raise UsageError(
            f"a submission names images by their file name only, and {times} are called '{name}': "
            "rename them, or predict their folders one at a time"
        )


SPEC = SegmentationSpec()
