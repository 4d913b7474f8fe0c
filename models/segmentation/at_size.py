"""Probabilities at an image's own size: one rule for what is tested and for what is written."""

from torch import Tensor
from torch.nn import functional as F


def at_size(probs: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes probabilities ``(N, C, h, w)`` to ``size`` (height, width), bilinear, without aliasing when shrinking."""
    shrinks = size[0] < probs.shape[-2] or size[1] < probs.shape[-1]
    return F.interpolate(probs, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
