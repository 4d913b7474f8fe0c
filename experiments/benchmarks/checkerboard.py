"""Whether a trained network draws checkerboards: the spectrum of what it makes of flat images.

    python -m experiments.benchmarks.checkerboard CHECKPOINT ...

Sub-pixel convolution makes the neighbours in a square of pixels by different kernels. Where they disagree, a flat
region comes out with a pattern that repeats with that square, and the spectrum has peaks at its frequency and the
multiples. The table gives the largest of them in gray levels; below half a level, it is rounded away.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from experiments.runs.trained_module import trained_module
from lightning_modules.super_resolution import SuperResolutionModule

#: Flat colors: grays from black to white, and saturated ones.
COLORS = (*((gray / 8,) * 3 for gray in range(9)), (0.9, 0.1, 0.1), (0.1, 0.7, 0.2), (0.1, 0.2, 0.9), (0.9, 0.7, 0.5))
_SEEN = 24  # pixels of the input near the border that the result is cut by: there the network sees the border
_INNER = 8


def main(argv: Sequence[str]) -> int:
    """Prints a line for each checkpoint; see the head of this file."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.checkerboard", description="Peaks of flat images.")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="of super-resolution")
    for path in parser.parse_args(argv).checkpoints:
        module = trained_module("sr", path, SuperResolutionModule)
        print(f"{path}: {module.scale}x, {shuffle_peak(module, scale=module.scale):.3f} gray levels")
    return 0


@torch.no_grad()
def shuffle_peak(net: Callable[[Tensor], Tensor], *, scale: int) -> float:
    """Measures the strongest pattern at the pixel shuffle's frequencies in images that should be flat.

    Args:
        net: maps (1, 3, H, W) in [0, 1] to (1, 3, scale * H, scale * W), in eval mode.
        scale: how many times it enlarges, 2 or more.

    Returns:
        The largest amplitude of all ``COLORS`` and channels, in gray levels of 255.
    """
    side, cut = _INNER + 2 * _SEEN, _SEEN * scale
    worst = 0.0
    for color in COLORS:
        made = net(torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, side, side).contiguous()).float()
        inner = made[0, :, cut:-cut, cut:-cut] * 255
        spectrum = torch.fft.fft2(inner).abs() / inner[0].numel()
        shuffle = spectrum[:, ::_INNER, ::_INNER].clone()  # frequencies that repeat with the square of the shuffle
        shuffle[:, 0, 0] = 0  # the mean
        worst = max(worst, float(shuffle.max()))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
