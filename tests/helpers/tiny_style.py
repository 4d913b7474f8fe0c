"""Style small enough to compute by hand: gray images, a network that darkens them, a loss of two means."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from datamodules.base import ImageDataModule
from datamodules.loading.sampler import Key
from datamodules.stage import Stage
from lightning_modules.style import StyleModule

STAGE = Stage(name="gray", size=8, batch_size=3, epochs=1, lr=1e-3)
PAINTING = 0.75
#: Gray of the five images that are held out: binary fractions, so that sums are exact.
GRAYS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Grays(Dataset[dict[str, Any]]):
    """Images of one gray each."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return len(GRAYS)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        content = torch.full((3, self.size, self.size), GRAYS[key.index])
        return {"content": content, "style": 0, "name": f"gray {key.index}.png"}


class GrayData(ImageDataModule):
    """The same five images for all splits, and a light gray style image."""

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return Grays(stage.size)

    val_set = test_set = train_set

    def prepare(self, stages: Sequence[Stage]) -> None:
        pass

    def styles(self) -> list[Tensor]:
        return [torch.full((3, 4, 4), PAINTING)]

    def calibration_images(self, count: int) -> Tensor:
        return torch.stack([Grays(4)[Key(0, index)]["content"] for index in range(min(count, len(GRAYS)))])


class Halving(nn.Module):
    """Halves the brightness of each pixel."""

    reach, multiple = 0, 1

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.factor.weight, 0.5)

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor.weight

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self.factor]]


class Means(nn.Module):
    """Twice the squared difference to the mean of the content, plus that to the mean of the style image."""

    part_names = ("content", "style_1")
    weights_origin = "none"
    balance = True

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((), -1.0))
        self.asked: list[str] = []
        self.calibrated = False

    @property
    def has_style(self) -> bool:
        return bool(self.get_buffer("mean") >= 0)

    def load(self) -> None:
        self.asked.append("load")

    def set_styles(self, images: Sequence[Tensor]) -> None:
        self.asked.append("style")
        self.get_buffer("mean").copy_(images[0].mean())

    def calibrate(self, images: Tensor) -> None:
        self.asked.append(f"calibrate {len(images)}")
        self.calibrated = True

    def parts_per_image(self, preds: Tensor, content: Tensor) -> dict[str, Tensor]:
        mean = preds.mean((1, 2, 3))
        return {
            "content": 2 * (mean - content.mean((1, 2, 3))) ** 2,
            "style_1": (mean - self.get_buffer("mean")) ** 2,
        }

    def with_untouched(self, preds: Tensor, content: Tensor, styles: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        untouched = self.parts_per_image(content, content)
        return self.parts_per_image(preds, content), torch.stack(list(untouched.values())).sum(0)

    def forward(self, preds: Tensor, content: Tensor, styles: Tensor) -> dict[str, Tensor]:
        return {name: part.mean() for name, part in self.parts_per_image(preds, content).items()}


def gray_task() -> tuple[StyleModule, GrayData]:
    """A module and its data, with the stage set."""
    data = GrayData(num_workers=0)
    data.set_stage(STAGE)
    return StyleModule(net=Halving(), loss=Means()), data  # type: ignore[arg-type]
