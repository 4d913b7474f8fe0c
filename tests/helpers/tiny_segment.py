"""Tiny segmentation: bright discs on a dark background, found by a network of one convolution."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.data import Dataset

from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.visualization.figures import FigureLogger
from callbacks.visualization.segmentation import SegmentationFigures
from datamodules.base import ImageDataModule
from datamodules.loading.sampler import Key
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule

STAGES = [
    Stage(name="small head", size=16, batch_size=4, epochs=1, lr=0.1, frozen="encoder"),
    Stage(name="large all", size=24, batch_size=2, epochs=2, lr=0.1, lr_scale=(0.1, 1.0)),
]


class Discs(Dataset[dict[str, Any]]):
    """One disc per image; its position depends on the index."""

    def __init__(self, length: int, size: int, first: int) -> None:
        self.length, self.size, self.first = length, size, first

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: Key) -> dict[str, Any]:
        draw = np.random.default_rng(self.first + key.index)
        y, x = torch.meshgrid(torch.arange(self.size), torch.arange(self.size), indexing="ij")
        center = draw.uniform(0.3, 0.7, 2) * self.size
        mask = (((y - center[0]) ** 2 + (x - center[1]) ** 2) < (self.size * 0.25) ** 2).float()
        noise = torch.from_numpy(draw.random((3, self.size, self.size), dtype=np.float32))
        return {"image": (mask * 0.6 + noise * 0.4), "mask": mask, "name": f"disc {self.first + key.index}.png"}


class DiscData(ImageDataModule):
    """Eight training and five validation images."""

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return Discs(8, stage.size, 0)

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return Discs(5, stage.size, 100)

    test_set = val_set

    def prepare(self, stages: Sequence[Stage]) -> None:
        pass


class DiscNet(nn.Module):
    """Two layer groups of one convolution each."""

    weights_origin = "drawn at random for a test"

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 1, 1)
        # Starts where it finds most of a disc, so that few steps show in the scores.
        nn.init.constant_(self.encoder.weight, 1 / 27)
        nn.init.constant_(self.encoder.bias, -0.3)  # type: ignore[arg-type]
        nn.init.constant_(self.decoder.weight, 1.0)
        nn.init.constant_(self.decoder.bias, -0.8)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self.encoder(image).relu())
        return logits

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self.encoder], [self.decoder]]


def fit_discs(
    folder: Path,
    callbacks: Sequence[Callback],
    *,
    checkpoint: Path | None = None,
    **options: Any,
) -> Trainer:
    """Trains both stages, or the rest after ``checkpoint``, with a TensorBoard log in ``folder``."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "max_epochs": 3,
        "accelerator": "cpu",
        "devices": 1,
        "callbacks": [ProgressiveResizing(STAGES, dry_run=False), *callbacks],
        "logger": TensorBoardLogger(folder, name="", version="", default_hp_metric=False),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "use_distributed_sampler": False,
        "log_every_n_steps": 1,
    }
    trainer = Trainer(**(settings | options))
    trainer.fit(SegmentationModule(net=DiscNet()), DiscData(num_workers=0), ckpt_path=checkpoint, weights_only=True)
    return trainer


def disc_figures(folder: Path | None, **settings: Any) -> FigureLogger:
    """The figures of discs, saved in ``folder``."""
    return FigureLogger(SegmentationFigures(classes=("car",)), mode="max", folder=folder, **settings)


def read_events(folder: Path) -> EventAccumulator:
    """Reads all events of the event files, without subsampling."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    events.Reload()
    return events
