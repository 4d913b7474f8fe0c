"""The global batch: one process with 8 images, two with 4, and 4 images twice take the same step."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import Dataset

from callbacks.distributed.ddp import Ddp, use_run_ddp
from callbacks.distributed.replica_check import ReplicaCheck
from callbacks.training.progressive_resizing import ProgressiveResizing
from datamodules.base import ImageDataModule
from datamodules.loading.sampler import Key
from datamodules.stage import Stage
from lightning_modules.base import ImageTask
from lightning_modules.segmentation import SegmentationModule
from lightning_modules.style import StyleModule
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.mask_target import IGNORE
from models.losses.pixel import L1Loss
from models.losses.style import StyleLoss
from models.style.style_resnet import StyleResnet
from models.super_resolution.sr_resnet import SrResnet
from tests.helpers.ranks import on_ranks
from tests.helpers.tiny_segment import DiscData, DiscNet

SHARED = {"size": 16, "batch_size": 8, "epochs": 2, "lr": 1e-3}


class Noise(Dataset[dict[str, Any]]):
    """Images drawn from their index."""

    def __init__(self, size: int, scale: int) -> None:
        self.size, self.scale = size, scale

    def __len__(self) -> int:
        return 16

    def __getitem__(self, key: Key) -> dict[str, Any]:
        draw = np.random.default_rng(key.index)
        high = torch.from_numpy(draw.random((3, self.size * self.scale, self.size * self.scale), dtype=np.float32))
        low = torch.nn.functional.avg_pool2d(high, self.scale)
        return {"low_res": low, "high_res": high, "name": str(key.index)}


class Patchy(Dataset[dict[str, Any]]):
    """Three classes; the ignored fraction differs between images."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, key: Key) -> dict[str, Any]:
        draw = np.random.default_rng(key.index)
        mask = torch.from_numpy(draw.integers(0, 3, (16, 16)))
        mask[: key.index % 16] = IGNORE
        image = torch.from_numpy(draw.random((3, 16, 16), dtype=np.float32))
        return {"image": image, "mask": mask, "name": str(key.index)}


class PatchyData(DiscData):
    """Sixteen of them."""

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return Patchy()


class NoiseData(DiscData):
    """Sixteen pairs."""

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return Noise(stage.size, stage.scale or 1)


class ImageSplits(Dataset[dict[str, Any]]):
    """The images of ``Noise`` as content images."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, key: Key) -> dict[str, Any]:
        pair = Noise(16, 1)[key]
        return {"content": pair["high_res"], "style": 0, "name": pair["name"]}


class ImageData(DiscData):
    """Sixteen content images and a style image."""

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return ImageSplits()

    def styles(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        return [torch.rand(3, 24, 24, generator=generator).to(torch.get_default_dtype())]

    def calibration_images(self, count: int) -> Tensor:
        images = [ImageSplits()[Key(0, index)]["content"] for index in range(count)]
        return torch.stack(images).to(torch.get_default_dtype())


@dataclass(frozen=True, kw_only=True)
class Row:
    """A task without dropout and batch norm, and a stage that freezes before one that does not."""

    module: Callable[[], ImageTask]
    data: type[ImageDataModule]
    scale: int | None = None
    precision: Any = "32-true"

    def stages(self) -> list[Stage]:
        return [
            Stage(name="head", frozen=1, scale=self.scale, **SHARED),
            Stage(name="all", lr_scale=None, scale=self.scale, **SHARED),
        ]


def segment() -> ImageTask:
    return SegmentationModule(net=DiscNet(), dice_weight=0.5, edge_weight=1.0)


def segment_classes() -> ImageTask:
    net = DiscNet()
    net.decoder = torch.nn.Conv2d(4, 3, 1)
    return SegmentationModule(net=net, classes=("a", "b", "c"), dice_weight=0.5)


def sr() -> ImageTask:
    return SuperResolutionModule(net=SrResnet(width=8, blocks=2, max_scale=2), loss=L1Loss())


def style() -> ImageTask:
    loss = StyleLoss(name="vgg11", layers=(1, 4, 7, 9), tv_weight=0.1, weights="none")
    return StyleModule(net=StyleResnet(width=4, blocks=1, norm="instance"), loss=loss)


TASKS = {
    "segment": Row(module=segment, data=DiscData),
    "segment classes": Row(module=segment_classes, data=PatchyData),
    "sr": Row(module=sr, data=NoiseData, scale=2),
    # Instance norm takes away what the bias before it adds, so that its gradient is rounding and nothing else. Adam's
    # steps are as long for it as for any other; in float64 it is below Adam's eps.
    "style": Row(module=style, data=ImageData, precision="64-true"),
}


class Gradients(Callback):
    """Records the gradients of every step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        named = pl_module.named_parameters()
        self.steps.append({name: p.grad.clone() for name, p in named if p.grad is not None})


def train(row: Row, folder: Path, *, world: int = 1, accumulate: int = 1, **options: Any) -> tuple[Any, Any]:
    """Trains on this rank; returns the gradients of every step and the final weights."""
    gradients, stages = Gradients(), row.stages()
    torch.manual_seed(0)
    module = row.module()
    with use_run_ddp(Ddp(**options), training=True):
        trainer = Trainer(
            max_epochs=4, accelerator="cpu", devices=world, precision=row.precision, accumulate_grad_batches=accumulate,
            callbacks=[ReplicaCheck(stages, every_n_steps=1), ProgressiveResizing(stages), gradients],
            use_distributed_sampler=False, num_sanity_val_steps=0, limit_val_batches=0, default_root_dir=folder,
            logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
    trainer.fit(module, datamodule=row.data(num_workers=0))
    return gradients.steps, {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def on_two(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Trains all tasks on two processes, and super-resolution with every option."""
    ends = {name: train(row, folder, world=2) for name, row in TASKS.items()}
    ends["accumulated"] = train(TASKS["sr"], folder, world=2, accumulate=2)
    ends["static graph"] = train(TASKS["sr"], folder, world=2, static_graph=True)
    ends["bf16"] = train(TASKS["sr"], folder, world=2, bf16_gradients=True)
    return ends


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any]]:
    first, second = on_ranks(2, on_two, tmp_path_factory.mktemp("two"))
    for name, (_, weights) in first.items():
        assert furthest(weights, second[name][1]) == 0, name
    result: dict[str, tuple[Any, Any]] = first
    return result


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any]]:
    return {name: train(row, tmp_path_factory.mktemp("alone")) for name, row in TASKS.items()}


def furthest(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


def assert_same_training(left: tuple[Any, Any], right: tuple[Any, Any]) -> None:
    (gradients, weights), (other_gradients, other_weights) = left, right
    for step, other in zip(gradients, other_gradients, strict=True):
        assert furthest(step, other) < 1e-5
    assert furthest(weights, other_weights) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_two_processes_train_like_one(task: str, two: dict[str, Any], alone: dict[str, Any]) -> None:
    assert_same_training(alone[task], two[task])


@pytest.mark.parametrize("task", TASKS)
def test_accumulated_batches_train_like_one(task: str, alone: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = dict(TASKS[task].module().state_dict())
    together = train(TASKS[task], tmp_path, accumulate=2)
    assert_same_training(alone[task], together)
    assert furthest(start, together[1]) > 1e-4  # something was trained


@pytest.mark.slow
@pytest.mark.parametrize("options", ["accumulated", "static graph"])
def test_accumulation_and_static_graph_train_like_one_process(
    options: str, two: dict[str, Any], alone: dict[str, Any]
) -> None:
    assert_same_training(alone["sr"], two[options])


@pytest.mark.slow
def test_bf16_gradients_are_rounded(two: dict[str, Any]) -> None:
    exact, rounded = two["sr"][0][0], two["bf16"][0][0]  # of the first step, at the same weights
    largest = max(float(gradient.abs().max()) for gradient in exact.values())
    assert 0 < furthest(exact, rounded) < largest * 2**-7  # bfloat16 has eight bits
