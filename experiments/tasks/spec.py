"""What ``predict`` needs to know of a task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lightning import LightningDataModule
from numpy.typing import NDArray

from callbacks.prediction.writer import ResultFiles, Table


@dataclass(frozen=True, kw_only=True)
class Results:
    """What is read and what is written.

    Args:
        data: gives the images in batches.
        files: writes the files of one image.
        table: a text file over all images, if one is wanted.
        waiting: how many predictions may be in memory, waiting to be written.
        remark: what has to be known of all results, said at the end.
    """

    data: LightningDataModule
    files: ResultFiles
    table: Table | None = None
    waiting: int = 8
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class VideoLook:
    """How the frames of videos are finished.

    Args:
        finish: makes of a net's frame and the video's own, both (H, W, 3), what is written.
        smooth: share of the past in each frame, 0 to below 1.
    """

    finish: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
    smooth: float = 0.0
