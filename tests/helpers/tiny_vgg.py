"""Direct use of torchvision's VGG, for comparison."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn


def theirs(name: str, *, up_to: int) -> nn.Sequential:
    """The first layers of torchvision's VGG, with batch norm statistics that are not the initial ones."""
    with torch.device("meta"):
        vgg = torchvision.models.get_model(name, weights=None)
    torch.manual_seed(5)
    layers = vgg.features[: up_to + 1].to_empty(device="cpu")
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
            layer.reset_parameters()
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_var, 0.01, 0.05)
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
    return layers.eval()


def file_of(layers: nn.Sequential, tmp_path: Path) -> str:
    torch.save({f"features.{name}": value for name, value in layers.state_dict().items()}, tmp_path / "vgg.pth")
    return str(tmp_path / "vgg.pth")


def plainly(layers: nn.Sequential, wanted: Sequence[int], images: Tensor) -> list[Tensor]:
    """Every activation, copied before the next in-place layer."""
    transform = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    x, found = transform(images), []
    for number, layer in enumerate(layers):
        x = layer(x)
        if number in wanted:
            found.append(x.clone())
    return found
