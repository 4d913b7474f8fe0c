"""Style transfer without a network: the pixels themselves are optimised (Gatys et al. 2016)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import LBFGS, Adam, Optimizer

#: Given pixels to optimise, makes what optimises them, one evaluation of the loss a step.
MakeOptimizer = Callable[[Tensor], Optimizer]


@dataclass(frozen=True, kw_only=True)
class GatysResult:
    """What came out.

    Args:
        image: the best so far, of the shape of the start, in [0, 1].
        losses: the lowest loss up to each iteration, that one included; fewer than asked for if the loss was no longer
            a number.
    """

    image: Tensor
    losses: list[float]

    def loss_at(self, iteration: int) -> float:
        """The lowest loss of the first so many iterations, or of as many as there were."""
        return self.losses[:iteration][-1]


def lbfgs(pixels: Tensor) -> Optimizer:
    """L-BFGS, as Gatys et al. use it, with steps of full length: searching along the line reached no less."""
    return LBFGS([pixels], max_iter=1, history_size=10, tolerance_grad=0, tolerance_change=0)


def adam(pixels: Tensor) -> Optimizer:
    """Adam with steps of about 5 of 255 shades."""
    return Adam([pixels], lr=0.02)


def paint(
    loss: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    iterations: int,
    optimizer: MakeOptimizer = lbfgs,
    on_iteration: Callable[[int, float], None] = lambda iteration, lowest: None,  # noqa: ARG005
) -> GatysResult:
    """Changes pixels until a loss is low.

    An iteration is one evaluation of the loss and its gradient, for L-BFGS as well as for Adam. Pixels are put back
    into [0, 1] before each.

    Args:
        loss: maps images of the shape of ``start`` to a scalar.
        start: (N, 3, H, W) in [0, 1], usually the image; left as it is.
        iterations: at least 1. It ends earlier only if the loss is no longer a number.
        optimizer: ``lbfgs`` or ``adam``.
        on_iteration: is told the iteration, from 1, and the lowest loss so far.

    Raises:
        ValueError: if there are no iterations, or the loss of the start is not a number.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, not {iterations}")
    pixels = start.detach().clone(memory_format=torch.contiguous_format).requires_grad_()  # L-BFGS needs them so
    stepper = optimizer(pixels)
    best, losses = pixels.detach(), list[float]()

    def evaluate() -> float:
        nonlocal best
        with torch.no_grad():
            pixels.clamp_(0, 1)
        stepper.zero_grad()
        value = loss(pixels)
        value.backward()
        stop_at_bounds_(pixels)
        found = value.item()
        if not losses or found < losses[-1]:
            best = pixels.detach().clone()
        losses.append(min([found, *losses[-1:]]))
        if not math.isfinite(found):
            raise _NotFiniteError
        return found

    for iteration in range(1, iterations + 1):
        try:
            stepper.step(evaluate)
        except _NotFiniteError:
            losses.pop()
            break
        on_iteration(iteration, losses[-1])
    if not losses:
        raise ValueError("the loss of the start is not a number")
    return GatysResult(image=best, losses=losses)


def stop_at_bounds_(pixels: Tensor) -> None:
    """Takes out of the gradient what pushes pixels beyond [0, 1], in place.

    Without this L-BFGS learns its curvature from steps that were never made: on a loss of style it stuck after 60 of
    80 iterations at a loss a sixteenth higher, jumping up to ten times as high in between.
    """
    if pixels.grad is not None:
        outwards = ((pixels == 0) & (pixels.grad > 0)) | ((pixels == 1) & (pixels.grad < 0))
        pixels.grad.masked_fill_(outwards, 0)


class _NotFiniteError(Exception):
    """Leaves the optimiser in the middle of a step."""
