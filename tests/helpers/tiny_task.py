"""A task small enough to train many times in a test: predict the mean of noise, with batch norm and dropout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import MeanMetric

from callbacks.checkpoints.checkpoint_io import AtomicCheckpointIO
from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from callbacks.training.non_finite_guard import NonFiniteGuard
from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.training.step_seed import StepSeed
from datamodules.base import ImageDataModule
from datamodules.loading.sampler import Key, sample_seed
from datamodules.stage import Stage
from lightning_modules.base import ImageTask

SEED = 3
STAGES = [
    Stage(name="small head", size=8, batch_size=4, epochs=2, lr=1e-2, frozen="encoder"),
    Stage(name="small all", size=8, batch_size=4, epochs=2, lr=1e-2, lr_scale=(0.1, 1.0), frozen_bn=True),
    Stage(name="large all", size=12, batch_size=2, epochs=2, lr=5e-3),
]


class TinySet(Dataset[dict[str, Any]]):
    """Images drawn from (seed, epoch, index), in place of augmentation."""

    def __init__(self, length: int, size: int, seed: int) -> None:
        self.length, self.size, self.seed = length, size, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: Key) -> dict[str, Any]:
        noise = np.random.default_rng(sample_seed(self.seed, key.epoch, key.index))
        image = torch.from_numpy(noise.random((3, self.size, self.size), dtype=np.float32))
        return {"image": image, "target": image.mean(0, keepdim=True), "name": f"image {key.index}"}


class TinyData(ImageDataModule):
    """Ten training and five validation images."""

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return TinySet(10, stage.size, self.seed)

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return TinySet(5, stage.size, self.seed + 1)

    test_set = val_set

    def prepare(self, stages: Sequence[Stage]) -> None:
        pass


class TinyNet(nn.Module):
    """Two layer groups, batch norm in the first, dropout between."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(image))
        return out

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self.body], [self.head]]


class TinyTask(ImageTask):
    """Mean squared error; its validation mean is exact over uneven ranks.

    ``self.log(..., sync_dist=True)`` is not: it averages the integer counts of the ranks and rounds them down.
    """

    def __init__(self, *, net: nn.Module) -> None:
        super().__init__(net=net)
        self.val_loss = MeanMetric()

    def losses(self, batch: Any) -> dict[str, Tensor]:
        return {"loss": (self.net(batch["image"]) - batch["target"]).square().mean()}

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self.losses(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.val_loss.update(self.losses(batch)["loss"], weight=len(batch["image"]))
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True)


def tiny_trainer(
    folder: Path,
    *,
    stages: Sequence[Stage] = STAGES,
    every_n_steps: int = 1,
    extra: Sequence[Callback] = (),
    **options: Any,
) -> Trainer:
    """A trainer like that of ``fit``, without logger and progress bar."""
    checkpoint = RunCheckpoint(
        folder, stages=stages, monitor="val/loss", mode="min", every_n_steps=every_n_steps, record={"task": "tiny"}
    )
    callbacks = [ProgressiveResizing(stages), StepSeed(SEED), NonFiniteGuard(), *extra, checkpoint]
    settings: dict[str, Any] = {
        "max_epochs": sum(stage.epochs for stage in stages),
        "accelerator": "cpu",
        "devices": 1,
        "callbacks": callbacks,
        "plugins": [AtomicCheckpointIO()],
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
    }
    return Trainer(**(settings | options))


def tiny_task() -> TinyTask:
    """The same start every time."""
    torch.manual_seed(0)
    return TinyTask(net=TinyNet())
