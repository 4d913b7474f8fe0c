"""A network without weights that inverts videos, and a run of it over some files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning import LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor

from datamodules.batches import FrameBatch
from datamodules.prediction.image_list import Listed
from experiments.commands.predict_videos import VideoReport, predict_videos
from experiments.tasks.prediction import VideoFinish


class Negative(LightningModule):
    """Inverts the colors of a frame and enlarges it by repeating pixels."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale

    def predict_step(self, batch: FrameBatch) -> Tensor:
        assert batch["image"].dtype == torch.uint8
        return (255 - batch["image"]).repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


def trainer() -> Trainer:
    return Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip


Combine = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]


def finished(combine: Combine) -> VideoFinish:
    """Writes what ``combine`` makes of result and original."""
    return VideoFinish(finish=lambda result, original, _: {"result": combine(result, original)})


def invert_videos(
    *videos: Path, out: Path, look: VideoFinish | None = None, scale: int = 1, progress: bool = False
) -> VideoReport:
    listed = [Listed(path=path, name=f"deep/{path.stem}") for path in videos]
    look = look or finished(lambda result, _: result)
    return predict_videos(trainer(), Negative(scale), listed, out=out, finishing=look, progress=progress)
