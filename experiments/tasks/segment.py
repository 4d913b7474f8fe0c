"""Segmentation: figures, options and files of ``predict``."""

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser
from lightning import Callback

from callbacks.prediction.annotations import join_coco
from callbacks.prediction.segmentation import SegmentationFiles
from callbacks.prediction.writer import Table
from callbacks.training.channel_statistics import ChannelStatistics
from callbacks.visualization.masks import palette
from callbacks.visualization.segmentation import SegmentationFigures
from datamodules.base import ImageDataModule
from datamodules.io.bands import BandLayout
from datamodules.io.image import read_image
from datamodules.io.rle import encode_rle
from datamodules.prediction.datamodule import PredictDataModule, ShownBands
from datamodules.prediction.image_list import Listed
from datamodules.segmentation.datamodule import SegmentDataModule
from datamodules.segmentation.folder import FolderDataModule
from experiments.cli.usage import UsageError
from experiments.inference.averaging import average_checkpoints_
from experiments.runs.initial_weights import InitialWeights
from experiments.tasks.links import SEGMENT_LINKS
from experiments.tasks.prediction import PredictOutput, PredictRequest
from experiments.tasks.segment_outputs import (
    COCO,
    DEFAULT_OUTPUTS,
    OUTPUTS,
    SUBMISSION,
    check_submission,
    choose_kinds,
    cut_classes,
    describe_average,
    draw_coco,
    draw_labelme,
    make_cleaning,
)
from experiments.tasks.segment_videos import finish_videos, read_background
from experiments.tasks.spec import TaskSpec
from lightning_modules.segmentation import SegmentationModule
from models.fold_batch_norm import fold_batch_norm_
from models.segmentation.encoder import Encoder
from models.segmentation.ensemble import average_scales
from models.segmentation.initial_weights import load_initial_
from models.weights.partial_load import PartialLoad

#: On a CPU an image takes as long in a batch as alone, where its files are written sooner.
_MAX_BATCH = 8


class SegmentationSpec(TaskSpec[SegmentationModule]):
    """Finds the pixels of one class, or tells several classes apart."""

    module = SegmentationModule
    monitor = "val/dice"
    mode = "max"
    takes_videos = True
    scores = ("val/dice", "val/iou", "val/accuracy", "val/loss")
    links = SEGMENT_LINKS

    def figures(self, model: SegmentationModule, data: ImageDataModule) -> SegmentationFigures:
        """Draws masks over images, and precision-recall curves."""
        channels = data.shown if isinstance(data, FolderDataModule) else None
        return SegmentationFigures(classes=model.classes, threshold=model.threshold, channels=channels)

    def check_data(self, model: SegmentationModule, data: ImageDataModule) -> None:
        """Compares the channels of the network and of the data.

        Raises:
            UsageError: if they differ.
        """
        encoder = getattr(model.net, "encoder", None)
        if not isinstance(data, SegmentDataModule) or not isinstance(encoder, Encoder):
            return
        channels = 3 if data.layout is None else data.layout.channels
        if encoder.in_channels != channels:
            named = "data.bands" if data.layout is not None and data.layout.bands else "data.channels"
            origin = "read as RGB images" if data.layout is None else f"{named}"
            raise UsageError(
                f"model.net.in_channels is {encoder.in_channels}, but the data have {channels} channels ({origin}): "
                f"set --model.net.in_channels {channels}, or --data.channels to those of the files"
            )

    def init_callbacks(self, model: SegmentationModule, loaded: Collection[str]) -> list[Callback]:  # noqa: ARG002
        """Measures the channels of images that are not RGB."""
        return [ChannelStatistics(keep=loaded)]

    def load_fitting_(self, model: SegmentationModule, weights: InitialWeights) -> PartialLoad:
        """Loads every tensor that fits; the head keeps the rows of classes with the same names.

        Raises:
            WeightsError: if no tensor fits.
        """
        return load_initial_(model.net, weights.tensors, classes=model.classes, given_classes=weights.classes)

    def average_(self, model: SegmentationModule, checkpoints: Sequence[Path], *, trust_config: bool) -> None:
        """Averages the probabilities with those of more checkpoints.

        Raises:
            CheckpointError: if a file cannot be read or is of another task.
            UsageError: if its classes are others.
        """
        average_checkpoints_(model, checkpoints, trust_config=trust_config)

    def add_predict_arguments(self, parser: ArgumentParser) -> None:
        """Adds the kinds of output, the background of composites, and test-time augmentation."""
        parser.add_argument(
            "--outputs",
            type=str | None,
            default=None,
            help=f"what to write, separated by commas: {', '.join(OUTPUTS)} (default: {','.join(DEFAULT_OUTPUTS)}, and "
            "composite with a --background; submission is Kaggle's submission.csv, coco is COCO's annotations.json)",
        )
        parser.add_argument(
            "--background",
            type=Path | None,
            default=None,
            help="image or video put behind cut-outs, scaled to cover",
        )
        parser.add_argument(
            "--cut", type=str | None, default=None, help="of several classes, those to cut out, separated by commas"
        )
        parser.add_argument(
            "--flip", action="store_true", help="average with the mirrored image: slightly better, twice as slow"
        )
        parser.add_argument(
            "--scales",
            nargs="+",
            type=float,
            default=[1.0],
            help="sizes to average over, as factors of the network's, for example 0.75 1 1.25",
        )
        parser.add_argument("--min_area", type=int, default=0, help="remove regions of fewer pixels of the image")
        parser.add_argument(
            "--largest", type=int, default=0, help="keep only that many of the largest regions of a class"
        )
        parser.add_argument("--fill_holes", action="store_true", help="fill holes of background inside of regions")

    def predict_output(self, model: SegmentationModule, request: PredictRequest) -> PredictOutput:
        """Reads images in batches at the size of the stage and writes the kinds of files that were asked for.

        Raises:
            UsageError: for an output or a class that does not exist, or outputs that do not go together.
            DataError: if the background cannot be read.
        """
        options, classes = request.options, model.classes
        behind = read_background(options.background, images=request.images)
        background = behind if isinstance(behind, np.ndarray) else None
        kinds = choose_kinds(options.outputs, background=behind is not None, classes=classes, cut=options.cut)
        table: Table | None = None
        if SUBMISSION in kinds and request.images:
            check_submission(request.images, classes)
            table = Table(path=request.folder / "submission.csv", header="img,rle_mask")
        elif COCO in kinds:
            table = Table(path=request.folder / "annotations.json", join=join_coco(classes))
        model.flip = model.flip or options.flip
        try:
            model.net = average_scales(model.net, options.scales, one_class=len(classes) == 1)
        except ValueError as error:
            raise UsageError(f"--scales: {error}") from error
        fold_batch_norm_(model.net)
        model.predict_classes = not kinds & {"cutout", "composite", "probability"}
        bands, images = None, request.images
        if isinstance(request.data, FolderDataModule) and request.data.layout and request.data.shown:
            if request.videos:
                raise UsageError(f"{request.videos[0].path} is a video; this network takes images with other channels")
            bands = ShownBands(layout=request.data.layout, shown=request.data.shown)
            images = _first_bands(images, bands.layout)
        files = SegmentationFiles(
            folder=request.folder,
            kinds=frozenset(kinds) - {SUBMISSION, COCO},
            classes=classes,
            colors=np.array(palette(len(classes)), np.uint8),
            threshold=model.threshold,
            cutout_classes=cut_classes(options.cut, classes),
            background=background,
            run_lengths=encode_rle if SUBMISSION in kinds else None,
            draw_coco=draw_coco if COCO in kinds else None,
            draw_labelme=draw_labelme,
            read=partial(read_image, bits=request.bits) if bands is None else bands.rgb,
            cleaning=make_cleaning(
                classes, min_area=options.min_area, largest=options.largest, fill_holes=options.fill_holes
            ),
        )
        largest = 1 if request.device == "cpu" else _MAX_BATCH
        batch_size = max(1, min(largest, request.stage.batch_size // request.ranks))
        data = PredictDataModule(
            images=images,
            size=request.stage.size,
            whole=request.stage.crop is not None,
            batch_size=batch_size,
            num_workers=request.num_workers,
            timeout=request.timeout,
            bits=request.bits,
            keep_originals=False,  # `files` reads them when it writes
            bands=bands,
        )
        remark = describe_average(model.net, size=request.stage.size)
        return PredictOutput(
            data=data,
            files=files,
            table=table,
            waiting=8,
            remark=remark,
            all_pages=bands is not None,
            video=finish_videos(files.layers, kinds, behind, stage=request.stage) if request.videos else None,
        )


def _first_bands(images: Sequence[Listed], layout: BandLayout) -> list[Listed]:
    """The files that stand for an image, with the name of the image.

    Raises:
        UsageError: if there is none.
    """
    first = [
        Listed(path=image.path, name=image.name.removesuffix(layout.suffix))
        for image in images
        if image.path.stem.endswith(layout.suffix)
    ]
    if not first:
        raise UsageError(f"none of the {len(images)} files is called NAME{layout.suffix}, the first band of an image")
    return first


SPEC = SegmentationSpec()
