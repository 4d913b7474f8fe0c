"""Where an image is light and where it is dark: what repainting it should keep, whatever colors it is given."""

import torch.nn.functional as F
from torch import Tensor

from models.losses.pixel import full_precision

#: Variance of brightness below which an image counts as flat: one level of light in a hundred.
_FLAT = 1e-4


def luminance_loss(images: Tensor, others: Tensor, *, cell: int = 16) -> Tensor:
    """Tells how little of what is light and dark agrees between images, whatever their brightness and contrast.

    It is half the mean squared difference of their brightness, averaged over squares and standardised in each image.
    For images that are not flat this is 1 minus Pearson's correlation.

    Args:
        images: (N, 3, H, W), RGB, about [0, 1].
        others: the same shape.
        cell: side of the squares in pixels; what is left at the right and at the bottom does not count.

    Returns:
        (N,), float32 (float64 for float64): 0 where images agree up to contrast and brightness, 1 where one tells
        nothing of the other, 2 for a negative.
    """
    a, b = (_standardized(_brightness(x, cell)) for x in (images, others))
    return (a - b).square().mean(1) / 2


def _brightness(images: Tensor, cell: int) -> Tensor:
    """Mean brightness (ITU-R BT.601) of squares, (N, squares)."""
    red, green, blue = full_precision(images).unbind(1)
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    side = min(cell, *gray.shape[1:])
    return F.avg_pool2d(gray[:, None], side).flatten(1)


def _standardized(x: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 in each row; rows that are flat stay near 0."""
    x = x - x.mean(1, keepdim=True)
    return x / (x.square().mean(1, keepdim=True) + _FLAT).sqrt()
