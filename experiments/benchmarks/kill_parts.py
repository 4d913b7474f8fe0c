"""What the runs that ``kill.py`` kills are made of: few images, a small net, and a callback that tells the moment."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor, nn

IMAGES, SIDE = 12, 40


class SmallNet(nn.Module):
    """Two layer groups with all that a resumed run has to put back: batch norm, dropout, and a heavy buffer.

    The buffer makes a checkpoint take long enough to be killed in the middle of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Conv2d(8, 1, 1)
        self.register_buffer("ballast", torch.zeros(2_000_000))

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, 1, H, W)`` of images ``(N, 3, H, W)``."""
        logits: Tensor = self.head(self.body(image))
        return logits

    def layer_groups(self) -> list[list[nn.Module]]:
        """Body and head."""
        return [[self.body], [self.head]]


class Moments(Callback):
    """Appends a line to a file at every moment that a run may be killed at, and the numbers of its processes.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tells this process' number."""
        self._tell(f"rank{trainer.global_rank} {os.getpid()}")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """A step begins."""
        self._tell_first(trainer, "step")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch ends, and with every second one its stage."""
        if trainer.current_epoch % 2:
            self._tell_first(trainer, "boundary")

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Validation is under way."""
        if not trainer.sanity_checking:
            self._tell_first(trainer, "validation")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A file is about to be written."""
        self._tell_first(trainer, "save")

    def _tell_first(self, trainer: Trainer, what: str) -> None:
        if trainer.is_global_zero:
            self._tell(what)

    def _tell(self, what: str) -> None:
        with self.path.open("a", encoding="ascii") as file:
            file.write(f"{what}\n")


def draw(root: Path) -> None:
    """Writes smooth images in ``images`` and masks of what is bright in them in ``masks``."""
    for number in range(IMAGES):
        coarse = np.random.default_rng(number).integers(0, 255, (5, 5, 3), dtype=np.uint8)
        image = np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        mask = (image.mean(axis=2) > 127).astype(np.uint8) * 255
        for folder, pixels in (("images", image), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
