"""Compares the training step of SrResnet at 2x with that of EDSR-baseline (``edsr.py``).

    python -m experiments.benchmarks step sr

16 blocks of 64 channels each, L1, fused Adam, patches of 48 and of 72 pixels, batch 4; both networks in channels-last
order, and EDSR in contiguous order too.
"""

import argparse

import torch
import torch.nn.functional as F

from experiments.benchmarks.edsr import Edsr
from experiments.benchmarks.interleave import Goal, interleave, report
from experiments.benchmarks.train_step import device, train_step
from models.super_resolution.sr_resnet import SrResnet

OURS, PEER, PLAIN = "darkroom", "EDSR, channels-last", "EDSR"


def sr_step(options: argparse.Namespace) -> int:
    """Times the steps."""
    return max(_compare(size, options) for size in (48, 72))


def _compare(size: int, options: argparse.Namespace) -> int:
    low, high = (torch.rand(4, 3, scale * size, scale * size, device=device()) for scale in (1, 2))
    nets = {
        OURS: SrResnet(width=64, blocks=16, max_scale=2).to(memory_format=torch.channels_last),
        PEER: Edsr().to(memory_format=torch.channels_last),
        PLAIN: Edsr(),
    }
    steps = {
        name: train_step(net, low, lambda out: F.l1_loss(out.float(), high), options) for name, net in nets.items()
    }
    title = f"SrResnet 2x, {size} px"
    measured = interleave(steps, options=options, clock="processor", device=device(), title=title)
    goals = [Goal(OURS, PEER, 1.05), Goal(OURS, PLAIN, 1.05)]
    return report(f"{title}, batch 4, {options.precision}", measured, goals, options=options)
