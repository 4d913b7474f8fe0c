"""Luminance loss: where an image is bright and where it is dark, independent of colors."""

import torch.nn.functional as F
from torch import Tensor

from models.losses.pixel import full_precision

#: Variance of the luminance below which an image counts as flat: a standard deviation of one percent.
_FLAT = 1e-4


def luminance_loss(images: Tensor, others: Tensor, *, cell: int = 16) -> Tensor:
    """1 - Pearson correlation of block-averaged luminance; invariant to global brightness and contrast.

    Computed as half the mean squared difference of the standardized block averages, which is the same for images
    that are not flat and finite for those that are.

    Args:
        images: (N, 3, H, W), RGB, about [0, 1].
        others: same shape as ``images``.
        cell: side of the blocks in pixels; an incomplete block at the right or bottom is left out.

    Returns:
        (N,), float32 (float64 for float64): 0 for images equal up to brightness and contrast, 1 for uncorrelated ones,
        2 for a negative.
    """
    a, b = (_standardize(_block_luminance(x, cell)) for x in (images, others))
    return (a - b).square().mean(1) / 2


def _block_luminance(images: Tensor, cell: int) -> Tensor:
    """Mean luminance (ITU-R BT.601) of the blocks, (N, blocks)."""
    red, green, blue = full_precision(images).unbind(1)
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    side = min(cell, *gray.shape[1:])
    return F.avg_pool2d(gray[:, None], side).flatten(1)


def _standardize(x: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 per row; flat rows stay near 0."""
    x = x - x.mean(1, keepdim=True)
    return x / (x.square().mean(1, keepdim=True) + _FLAT).sqrt()
