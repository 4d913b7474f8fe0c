"""Videos in ``predict`` of segmentation: their kinds of output, and what is put behind composites."""

from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from callbacks.prediction.segmentation_layers import SegmentationLayers
from callbacks.prediction.segmentation_video import VIDEO_KINDS, SegmentationFrames
from datamodules.io.image import read_image
from datamodules.io.video import VideoReader, is_video
from datamodules.prediction.background_video import BackgroundVideo
from datamodules.prediction.image_list import Listed
from datamodules.prediction.network_input import network_input
from datamodules.stage import Stage
from experiments.cli.usage import UsageError
from experiments.tasks.prediction import VideoFinish, VideoKind

Pixels = NDArray[np.uint8]


def read_background(path: Path | None, *, images: Sequence[Listed]) -> Pixels | VideoReader | None:
    """Reads the image of ``--background``, or opens the video.

    Raises:
        UsageError: for a video behind images.
        DataError: if it cannot be read.
    """
    if path is None:
        return None
    if not is_video(path):
        return read_image(path)
    if images:
        raise UsageError(f"--background {path} is a video, but {images[0].path} is an image: name an image for both")
    return VideoReader(path)


def finish_videos(
    layers: SegmentationLayers, kinds: Collection[str], background: Pixels | VideoReader | None, *, stage: Stage
) -> VideoFinish:
    """Chooses the files of each video.

    Args:
        layers: draws the predictions.
        kinds: kinds of output.
        background: what is put behind composites.
        stage: gives the size of the network's input.

    Raises:
        UsageError: for a kind that videos do not have.
    """
    if others := sorted(set(kinds) - VIDEO_KINDS.keys()):
        raise UsageError(
            f"--outputs {others[0]} is for images: for videos choose from {', '.join(VIDEO_KINDS)}, or leave the "
            "videos out"
        )

    def prepare(frame: Pixels) -> Tensor:
        height, width, _ = frame.shape
        return network_input(frame, stage.size, whole=stage.crop is not None, displayed=(height, width))

    return VideoFinish(
        finish=SegmentationFrames(layers, frozenset(kinds), _by_time(background)),
        kinds=[
            VideoKind(name=name, codec=codec, sound=sound)
            for name, (codec, sound) in VIDEO_KINDS.items()
            if name in kinds
        ],
        prepare=prepare,
        images=False,
    )


def _by_time(background: Pixels | VideoReader | None) -> Callable[[Fraction], Pixels] | None:
    """What is put behind a frame at a time in seconds."""
    if background is None:
        return None
    return BackgroundVideo(background).at if isinstance(background, VideoReader) else lambda _: background
