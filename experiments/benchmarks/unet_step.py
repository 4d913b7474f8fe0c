"""Compares the training step of the U-Nets with those of other packages on the same encoders.

    python -m experiments.benchmarks step unet unet34

``unet``: MobileNetV2, 256 pixels, batch 4, beside segmentation_models.pytorch (smp). ``unet34``: ResNet34, 128 pixels,
batch 8, beside smp and fastai's ``DynamicUnet``, which is left out if fastai is not installed. Binary cross-entropy and
fused Adam. All networks are measured in contiguous and in channels-last order; ratios are formed with the faster one of
each.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn

from experiments.benchmarks.interleave import Goal, interleave, report
from experiments.benchmarks.train_step import device, train_step
from models.segmentation.unet import UNet
from models.segmentation.unet34 import UNet34

OURS = "darkroom"


@dataclass(frozen=True)
class Peer:
    """Two networks of a package, one for each memory format, and how many times as fast ours is meant to be."""

    nets: Sequence[nn.Module]
    goal: float


def unet_step(options: argparse.Namespace) -> int:
    """Times the U-Nets on MobileNetV2."""
    ours = [UNet(encoder="mobilenet_v2", pretrained="none") for _ in range(2)]
    peers = {"smp": Peer([smp.Unet("mobilenet_v2", encoder_weights=None, classes=1) for _ in range(2)], 1.9)}
    return _compare("U-Net, MobileNetV2", ours, peers, size=256, batch=4, options=options)


def unet34_step(options: argparse.Namespace) -> int:
    """Times the U-Nets on ResNet34."""
    ours = [UNet34(pretrained="none") for _ in range(2)]
    peers = {"smp": Peer([smp.Unet("resnet34", encoder_weights=None, classes=1) for _ in range(2)], 1.2)}
    fastai = [fastai_unet(size=128) for _ in range(2)]
    if all(net is not None for net in fastai):
        peers["fastai"] = Peer([net for net in fastai if net is not None], 3.7)
    return _compare("U-Net, ResNet34", ours, peers, size=128, batch=8, options=options)


def fastai_unet(*, size: int) -> nn.Module | None:
    """The network of fastai's ``unet_learner`` on ResNet34 for one class; ``None`` if fastai is not installed."""
    try:
        from fastai.vision.learner import create_body
        from fastai.vision.models.unet import DynamicUnet
    except ImportError as error:
        print(f"fastai is left out ({error}): pip install '.[bench]'")
        return None
    body = create_body(torchvision.models.resnet34(weights=None), pretrained=False, cut=-2)
    net: nn.Module = DynamicUnet(body, 1, (size, size))
    return net


def _compare(
    title: str,
    ours: Sequence[nn.Module],
    peers: Mapping[str, Peer],
    *,
    size: int,
    batch: int,
    options: argparse.Namespace,
) -> int:
    images = torch.rand(batch, 3, size, size, device=device())
    mask = torch.zeros(batch, 1, size, size, device=device())

    def loss(logits: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), mask)

    forms: dict[str, list[str]] = {}
    steps = {}
    for name, nets in {OURS: ours, **{name: peer.nets for name, peer in peers.items()}}.items():
        for net, order in zip(nets, (torch.contiguous_format, torch.channels_last), strict=True):
            arranged = images.contiguous(memory_format=order)
            form = name if order is torch.contiguous_format else f"{name}, channels-last"
            forms.setdefault(name, []).append(form)
            steps[form] = train_step(net.to(memory_format=order), arranged, loss, options)
    measured = interleave(steps, options=options, clock="processor", device=device(), title=title)
    best = {name: min(own, key=lambda form: median(measured.seconds[form])) for name, own in forms.items()}
    return report(
        f"{title}, {size} px, batch {batch}, {options.precision}",
        measured,
        [Goal(best[OURS], best[name], peer.goal) for name, peer in peers.items()],
        options=options,
    )
