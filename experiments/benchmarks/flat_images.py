"""Measures artifacts of trained networks on flat images: checkerboards of sub-pixel upsampling, and frames.

    python -m experiments.benchmarks.flat_images checkerboard CHECKPOINT ...    super-resolution
    python -m experiments.benchmarks.flat_images border CHECKPOINT ...          style

Checkerboard: sub-pixel convolution computes the pixels of a ``scale`` x ``scale`` square by different kernels. If the
kernels disagree, a flat region gets a pattern with the period of the square, visible in the spectrum at that frequency
and its multiples. The largest amplitude is printed in gray levels; below half a level it vanishes by rounding.

Border: a network that pads with zeros sees an edge at the image's border and paints it. Flat images with the noise of a
camera are stylized, and the mean absolute difference between neighboring pixels in the outer 16 pixels is divided by
that of the middle. 1 means no visible border.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from experiments.runs.trained_module import trained_module
from lightning_modules.style import StyleModule
from lightning_modules.super_resolution import SuperResolutionModule

#: Flat colors: grays from black to white, and saturated ones.
COLORS = (*((gray / 8,) * 3 for gray in range(9)), (0.9, 0.1, 0.1), (0.1, 0.7, 0.2), (0.1, 0.2, 0.9), (0.9, 0.7, 0.5))
BORDER = 16  # pixels of the outer frame that are compared with the middle
_SIDE = 256
_NOISE = 2 / 255
_MARGIN = 24  # pixels of the input that are cut off, because the network sees the border there
_INNER = 8


def main(argv: Sequence[str]) -> int:
    """Prints one line per checkpoint."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.flat_images", description="Artifacts on flat images.")
    parser.add_argument("artifact", choices=("checkerboard", "border"), help="of super-resolution, or of style")
    parser.add_argument("checkpoints", type=Path, nargs="+")
    options = parser.parse_args(argv)
    for path in options.checkpoints:
        if options.artifact == "border":
            outer, inner = border_roughness(trained_module("style", path, StyleModule))
            print(
                f"{path}: differences of {outer:.2f} gray levels at the border, {inner:.2f} inside: {outer / inner:.2f}"
            )
        else:
            module = trained_module("sr", path, SuperResolutionModule)
            amplitude = checkerboard_amplitude(module, scale=module.scale)
            print(f"{path}: {module.scale}x, {amplitude:.3f} gray levels")
    return 0


@torch.no_grad()
def checkerboard_amplitude(net: Callable[[Tensor], Tensor], *, scale: int) -> float:
    """Measures the strongest pattern at the frequencies of the pixel shuffle.

    Args:
        net: maps (1, 3, H, W) in [0, 1] to (1, 3, scale * H, scale * W), in eval mode.
        scale: magnification, 2 or more.

    Returns:
        The largest amplitude over all ``COLORS`` and channels, in gray levels of 255.
    """
    side, cut = _INNER + 2 * _MARGIN, _MARGIN * scale
    worst = 0.0
    for color in COLORS:
        made = net(torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, side, side).contiguous()).float()
        inner = made[0, :, cut:-cut, cut:-cut] * 255
        spectrum = torch.fft.fft2(inner).abs() / inner[0].numel()
        shuffle = spectrum[:, ::_INNER, ::_INNER].clone()  # multiples of the shuffle's frequency
        shuffle[:, 0, 0] = 0  # the mean
        worst = max(worst, float(shuffle.max()))
    return worst


@torch.no_grad()
def border_roughness(net: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """Measures differences between neighboring pixels of stylized, nearly flat images.

    Args:
        net: maps (1, 3, H, W) in [0, 1] to the same shape, in eval mode.

    Returns:
        Mean absolute difference, vertical and horizontal, in gray levels of 255: in the outer ``BORDER`` pixels, and
        in the middle.
    """
    noise = torch.randn(1, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)) * _NOISE
    middle = torch.zeros(_SIDE - 1, _SIDE - 1, dtype=torch.bool)
    middle[BORDER:-BORDER, BORDER:-BORDER] = True
    outer, inner = 0.0, 0.0
    for color in COLORS:
        made = 255 * net((torch.tensor(color).view(1, 3, 1, 1) + noise).clamp(0, 1)).float()
        corner = made[..., :-1, :-1]
        differences = ((made[..., 1:, :-1] - corner).abs() + (made[..., :-1, 1:] - corner).abs()) / 2
        outer += float(differences[..., ~middle].mean()) / len(COLORS)
        inner += float(differences[..., middle].mean()) / len(COLORS)
    return outer, inner


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
