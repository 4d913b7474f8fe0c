"""Compares the training step of the U-Nets with that of segmentation_models.pytorch (smp) on the same encoders.

    python -m experiments.benchmarks step unet unet34

``unet``: MobileNetV2, 256 pixels, batch 4. ``unet34``: ResNet34, 128 pixels, batch 8. Binary cross-entropy and fused
Adam. Both networks are measured in contiguous and in channels-last order; ratios are formed with the faster one of
each.
"""

import argparse
from statistics import median

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.benchmarks.interleave import Goal, interleave, report
from experiments.benchmarks.train_step import device, train_step
from models.segmentation.unet import UNet
from models.segmentation.unet34 import UNet34

OURS, PEER = "darkroom", "smp"


def unet_step(options: argparse.Namespace) -> int:
    """Times the U-Nets on MobileNetV2."""
    ours = [UNet(encoder="mobilenet_v2", pretrained="none") for _ in range(2)]
    peers = [smp.Unet("mobilenet_v2", encoder_weights=None, classes=1) for _ in range(2)]
    return _compare("U-Net, MobileNetV2", ours, peers, size=256, batch=4, goal=1.9, options=options)


def unet34_step(options: argparse.Namespace) -> int:
    """Times the U-Nets on ResNet34."""
    ours = [UNet34(pretrained="none") for _ in range(2)]
    peers = [smp.Unet("resnet34", encoder_weights=None, classes=1) for _ in range(2)]
    return _compare("U-Net, ResNet34", ours, peers, size=128, batch=8, goal=1.2, options=options)


def _compare(
    title: str,
    ours: list[nn.Module] | list[UNet] | list[UNet34],
    peers: list[nn.Module],
    *,
    size: int,
    batch: int,
    goal: float,
    options: argparse.Namespace,
) -> int:
    images = torch.rand(batch, 3, size, size, device=device())
    mask = torch.zeros(batch, 1, size, size, device=device())

    def loss(logits: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), mask)

    steps = {}
    for name, nets in ((OURS, ours), (PEER, peers)):
        for net, order in zip(nets, (torch.contiguous_format, torch.channels_last), strict=True):
            arranged = images.contiguous(memory_format=order)
            form = name if order is torch.contiguous_format else f"{name}, channels-last"
            steps[form] = train_step(net.to(memory_format=order), arranged, loss, options)
    measured = interleave(steps, options=options, clock="processor", device=device(), title=title)
    ours_best, peer_best = (
        min((form for form in steps if form.startswith(name)), key=lambda form: median(measured.seconds[form]))
        for name in (OURS, PEER)
    )
    return report(
        f"{title}, {size} px, batch {batch}, {options.precision}",
        measured,
        [Goal(ours_best, peer_best, goal)],
        options=options,
    )
