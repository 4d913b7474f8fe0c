"""A whole task in one file: a 1 x 1 convolution learns to invert images.

Inside the project each part would be a file of its own: the module in ``lightning_modules/``, the data module in
``datamodules/``, figures (here the default ones) in ``callbacks/visualization/``, the spec in ``experiments/tasks/``,
the recipe in ``experiments/recipes/<task>/`` and the row in ``experiments/tasks/table.py``.
"""

from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchmetrics import MeanMetric

from datamodules.base import ImageDataModule
from datamodules.batches import ImageBatch
from datamodules.loading.sampler import Key, sample_seed
from datamodules.stage import Stage
from experiments.tasks.spec import TaskSpec
from experiments.tasks.table import Task
from lightning_modules.base import ImageTask


# The data: samples of a dataset are dictionaries with a ``name``; the loaders collate them to batches.
class InvertBatch(TypedDict):
    """Images and their inverses."""

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    target: Tensor  # (N, 3, S, S) float32, 1 - image
    name: list[str]  # N names


class NoiseImages(Dataset[dict[str, Any]]):
    """Random images. A sample depends on seed, epoch and index only, so that a resumed run repeats it."""

    def __init__(self, *, length: int, size: int, seed: int) -> None:
        self.length, self.size, self.seed = length, size, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: Key) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(sample_seed(self.seed, key.epoch, key.index))
        image = torch.rand(3, self.size, self.size, generator=generator)
        return {"image": image, "target": 1 - image, "name": f"noise_{key.index}.png"}


class InvertDataModule(ImageDataModule):
    """Training and validation images of the size of the stage; the base class makes the loaders."""

    def train_set(self, stage: Stage) -> NoiseImages:
        return NoiseImages(length=32, size=stage.size, seed=self.seed)

    def val_set(self, stage: Stage) -> NoiseImages:
        return NoiseImages(length=5, size=stage.size, seed=self.seed + 1)


# The network: any nn.Module that lists its layer groups, from the input to the output.
class InvertNet(nn.Module):
    """A linear map of the three channels of each pixel."""

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 1, bias=bias)

    def forward(self, image: Tensor) -> Tensor:
        preds: Tensor = self.mix(image)
        return preds

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self.mix]]


# The module: losses of a batch, and what is logged. Optimizer, schedule, stages and freezing come from the base class.
class InvertModule(ImageTask):
    """Trains ``net`` with the mean squared error."""

    def __init__(self, *, net: nn.Module) -> None:
        super().__init__(net=net)
        self.val_loss, self.test_loss = MeanMetric(), MeanMetric()

    def losses(self, batch: InvertBatch) -> dict[str, Tensor]:
        return {"loss": (self.net(batch["image"]) - batch["target"]).square().mean()}

    def validation_step(self, batch: InvertBatch) -> dict[str, Tensor] | None:
        if not batch["name"]:  # a rank without samples
            return None
        preds = self.net(batch["image"])
        score = (preds - batch["target"]).square().mean((1, 2, 3))
        self.val_loss.update(score)
        return {"loss": score.mean(), "preds": preds, "score": score}  # score and images are for the figures

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", self.val_loss.compute(), batch_size=1, sync_dist=True)
        self.val_loss.reset()

    def test_step(self, batch: InvertBatch) -> None:
        self.test_loss.update(self.losses(batch)["loss"], weight=len(batch["name"]))

    def on_test_epoch_end(self) -> None:
        self.log("test/loss", self.test_loss.compute(), batch_size=1, sync_dist=True)

    def predict_step(self, batch: ImageBatch) -> Tensor:
        """Inverts an image ``(1, 3, H, W)`` of 8 bits."""
        preds: Tensor = self.net(batch["image"] / 255)
        return (preds.clamp(0, 1) * 255).round().to(torch.uint8)


# The spec: what the commands need to know. All else has a default, see ``experiments/tasks/spec.py``.
class InvertSpec(TaskSpec[InvertModule]):
    """Inverts images."""

    module = InvertModule


SPEC = InvertSpec()

# The recipe: network, data and stages.
RECIPE = """
model:
  net: {class_path: tests.helpers.invert_task.InvertNet}
data:
  class_path: tests.helpers.invert_task.InvertDataModule
  init_args: {num_workers: 0}
stages:
  - {name: small, size: 8, batch_size: 4, epochs: 10, lr: 0.1}
  - {name: large, size: 16, batch_size: 2, epochs: 5, lr: 0.02}
trainer: {accelerator: cpu, devices: 1}
"""


# The row of the table.
def invert_row(folder: Path) -> Task:
    """Writes the recipe into ``folder`` and returns the row of the task table."""
    (folder / "sample.yaml").write_text(RECIPE, encoding="utf-8")
    return Task(summary="invert images", module="tests.helpers.invert_task", recipes=folder)
