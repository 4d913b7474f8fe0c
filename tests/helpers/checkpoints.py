"""Checkpoints of small networks with random weights, as ``fit`` writes them, without training."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from datamodules.stage import Stage
from experiments.runs.checkpoint import FORMAT
from lightning_modules.base import ImageTask
from lightning_modules.segmentation import SegmentationModule
from lightning_modules.style import StyleModule
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.losses.style import StyleLoss
from models.segmentation.unet import UNet
from models.style.blocks import Norm
from models.style.style_resnet import StyleResnet
from models.super_resolution.sr_resnet import SrResnet


def segment_checkpoint(
    path: Path, *, classes: Sequence[str] = ("car",), size: int = 64, encoder: str = "resnet18", **options: Any
) -> Path:
    """A U-Net whose probabilities spread over [0, 1]."""
    torch.manual_seed(0)
    net: dict[str, Any] = {"encoder": encoder, "widths": [16, 8], "image_width": 4, "in_channels": 3}
    module = SegmentationModule(
        net=UNet(**net, pretrained="none", classes=len(classes)),
        classes=tuple(classes),
        **options,
    )
    head = module.get_submodule("net.head")
    assert isinstance(head, nn.Conv2d)
    assert head.bias is not None
    images = F.interpolate(torch.rand(8, 3, 4, 6), (size, size), mode="bilinear")
    with torch.no_grad():
        for _ in range(20):
            module.net(images)  # in training mode: measures the statistics of batch norm
        head.weight.mul_(10)
        means = module.eval().net(images).mean((0, 2, 3))
        head.bias -= means.repeat_interleave(len(head.bias) // len(classes))
    model = {"net": {"class_path": "models.UNet", "init_args": {**net, "pretrained": "auto"}}, **options}
    data: dict[str, Any] = {"class_path": "datamodules.FolderDataModule", "init_args": {"classes": list(classes)}}
    stage = Stage(name="only", size=size, batch_size=4, epochs=1, lr=1e-2)
    return _write(path, "segment", module, model, data, stage, classes)


def sr_checkpoint(path: Path, *, scale: int = 2, **options: Any) -> Path:
    """An SrResnet that adds something to bicubic enlargement; with a scale of 1 it restores."""
    torch.manual_seed(0)
    net: dict[str, Any] = {"width": 8, "blocks": 2, "max_scale": max(scale, 2), "residual_scale": 1.0, "blur": False}
    net |= {"tail_norm": False, "feature_skip": True, "image_skip": True}
    module = SuperResolutionModule(net=SrResnet(**net), loss=L1Loss(), **options)
    nn.init.normal_(module.get_parameter("net.tail.weight"), std=0.1)
    model = {
        "net": {"class_path": "models.SrResnet", "init_args": net},
        "loss": {"class_path": "models.L1Loss"},
        **options,
    }
    data = {"class_path": "datamodules.SuperResolutionDataModule"}
    stage = Stage(name=f"{scale}x", size=16, batch_size=4, epochs=1, lr=1e-3, scale=scale)
    return _write(path, "sr", module, model, data, stage)


def style_checkpoint(path: Path, *, norm: Norm = "batch", tile: int = 1024) -> Path:
    """A StyleResnet whose results have contrast; with instance norm its tiles share statistics."""
    torch.manual_seed(0)
    net: dict[str, Any] = {"width": 4, "blocks": 1, "norm": norm, "upsample": "nearest"}
    loss: dict[str, Any] = {"name": "vgg11", "weights": "none", "layers": None, "content_layer": None}
    module = StyleModule(net=StyleResnet(**net), loss=StyleLoss(**loss), tile=tile)
    images = F.interpolate(torch.rand(8, 3, 4, 6), (64, 64), mode="bilinear")
    with torch.no_grad():
        for _ in range(20):
            module.net(images)  # in training mode: measures the statistics of batch norm
        module.get_parameter("net.tail.weight").mul_(10 if norm == "batch" else 2)
    model = {"net": {"class_path": "models.StyleResnet", "init_args": net}, "loss": loss, "tile": tile}
    data = {"class_path": "datamodules.StyleDataModule"}
    stage = Stage(name="only", size=32, batch_size=4, epochs=1, lr=1e-3)
    return _write(path, "style", module, model, data, stage)


def _write(
    path: Path,
    task: str,
    module: ImageTask,
    model: dict[str, Any],
    data: dict[str, Any],
    stage: Stage,
    classes: Sequence[str] = (),
) -> Path:
    record = {
        "format": FORMAT,
        "task": task,
        "classes": list(classes),
        "model": model,
        "data": data,
        "stages": [asdict(stage)],
    }
    progress = {"epoch_progress": {"current": {"processed": 1}}}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "epoch": 0,
            "global_step": 1,
            "state_dict": module.state_dict(),
            "loops": {"fit_loop": progress},
            "darkroom": record,
        },
        path,
    )
    return path
