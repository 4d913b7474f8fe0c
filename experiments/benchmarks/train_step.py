"""A training step as the benchmarks time it."""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

Loss = Callable[[Tensor], Tensor]
ImageLoss = Callable[[Tensor, Tensor], Tensor]


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def against(loss: ImageLoss, target: Tensor) -> Loss:
    """Returns a loss of one argument, which compares with ``target``."""
    return lambda preds: loss(preds, target)


def train_step(
    net: nn.Module, images: Tensor, loss: Loss, options: argparse.Namespace, *, fused: bool = True
) -> Callable[[], None]:
    """Returns a function that runs forward, loss, backward and a step of Adam.

    Args:
        net: is moved to ``device()``.
        images: input of the net, on ``device()``.
        loss: of the output of the net, in float32.
        options: with ``precision``.
        fused: whether Adam runs as one kernel.
    """
    net = net.to(device())
    optimizer: Optimizer = Adam(net.parameters(), lr=1e-4, fused=fused)
    bf16 = options.precision == "bf16-mixed"

    def step() -> None:
        with torch.autocast(device().type, torch.bfloat16, enabled=bf16):
            value = loss(net(images))
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
