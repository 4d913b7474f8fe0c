"""Whether a trained style network frames its results: how restless their rims are, beside their middles.

    python -m experiments.benchmarks.border CHECKPOINT ...

A network that continues its maps by zeros sees an edge where the image ends, and paints it. So flat images, with as
much noise as a camera's, are repainted, and the mean absolute step from pixel to pixel in the outer 16 pixels is
divided by that of the middle. 1 is no border at all.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from experiments.benchmarks.checkerboard import COLORS
from experiments.runs.trained_module import trained_module
from lightning_modules.style import StyleModule

RIM = 16
_SIDE = 256
_NOISE = 2 / 255


def main(argv: Sequence[str]) -> int:
    """Prints a line for each checkpoint; see the head of this file."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.border", description="Rims beside middles.")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="of style")
    for path in parser.parse_args(argv).checkpoints:
        rim, middle = restlessness(trained_module("style", path, StyleModule))
        print(f"{path}: steps of {rim:.2f} gray levels in the rim, {middle:.2f} in the middle: {rim / middle:.2f}")
    return 0


@torch.no_grad()
def restlessness(net: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """Measures steps between neighbours in what a network makes of almost flat images of many colors.

    Args:
        net: maps (1, 3, H, W) in [0, 1] to the same shape, in eval mode.

    Returns:
        Mean absolute step, down and across, in gray levels of 255: in the outer ``RIM`` pixels, and in the middle.
    """
    noise = torch.randn(1, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)) * _NOISE
    inside = torch.zeros(_SIDE - 1, _SIDE - 1, dtype=torch.bool)
    inside[RIM:-RIM, RIM:-RIM] = True
    rim, middle = 0.0, 0.0
    for color in COLORS:
        made = 255 * net((torch.tensor(color).view(1, 3, 1, 1) + noise).clamp(0, 1)).float()
        here = made[..., :-1, :-1]
        steps = ((made[..., 1:, :-1] - here).abs() + (made[..., :-1, 1:] - here).abs()) / 2
        rim += float(steps[..., ~inside].mean()) / len(COLORS)
        middle += float(steps[..., inside].mean()) / len(COLORS)
    return rim, middle


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
