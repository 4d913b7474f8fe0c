"""What a task tells ``predict``: the data to read, the files to write, and how videos are finished."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jsonargparse import Namespace
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from callbacks.prediction.video_file import H264, VideoCodec
from callbacks.prediction.video_writer import Finish
from callbacks.prediction.writer import ResultFiles, Table
from datamodules.base import ImageDataModule
from datamodules.io.tensors import compact_tensor
from datamodules.prediction.image_list import Listed
from datamodules.stage import Stage


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """What ``predict`` was asked for.

    Args:
        images: images to read.
        videos: videos to read.
        folder: folder of the results.
        options: options of the command line.
        data: data module of the run, from the settings of the checkpoint; it was not set up.
        stage: stage that the checkpoint was saved in.
        trained_stages: stages that the network was trained in, ``stage`` included.
        ranks: number of processes that predict.
        device: type of the device that the network runs on, such as ``"cpu"``.
        num_workers: number of loader processes of each rank.
        timeout: seconds that the loader processes may take for a batch.
        bits: bits that the values of 16-bit files use.
    """

    images: Sequence[Listed]
    videos: Sequence[Listed]
    folder: Path
    options: Namespace
    data: ImageDataModule
    stage: Stage
    trained_stages: Sequence[Stage]
    ranks: int
    device: str
    num_workers: int
    timeout: float
    bits: int


@dataclass(frozen=True, kw_only=True)
class VideoKind:
    """One of the files that are written for a video: ``KIND/NAME``.

    Args:
        name: the kind, also the name of its folder.
        codec: how its frames are stored.
        sound: whether it has the audio of the source.
    """

    name: str
    codec: VideoCodec = H264
    sound: bool = True


@dataclass(frozen=True, kw_only=True)
class VideoFinish:
    """How videos are read for the network, and how its outputs become the frames that are written.

    Args:
        finish: returns the frames to write by kind, given the network's output, the original ``(H, W, 3)`` and the time
            in seconds.
        kinds: the files of each video.
        prepare: makes the network's input from a frame ``(H, W, 3)``.
        images: whether the network's outputs are images; ``finish`` gets them as ``(H, W, 3)`` uint8, smoothed, and
            otherwise as the network returns them.
        smooth: weight of the past in temporal smoothing of images, from 0 to below 1.
    """

    finish: Finish
    kinds: Sequence[VideoKind] = (VideoKind(name="result"),)
    prepare: Callable[[NDArray[np.uint8]], Tensor] = compact_tensor
    images: bool = True
    smooth: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PredictOutput:
    """What ``predict`` reads and writes.

    Args:
        data: loads the images in batches.
        files: writes the files of one image.
        table: text file with a line for each image, if one is wanted.
        waiting: maximum number of predictions in memory that wait to be written.
        video: how videos are read and finished; needed if there are any.
        remark: a line printed at the end.
        all_pages: whether all pages of a file are read, so that files of several pages are no problem.
    """

    data: LightningDataModule
    files: ResultFiles
    table: Table | None = None
    waiting: int = 2
    video: VideoFinish | None = None
    remark: str = ""
    all_pages: bool = False
