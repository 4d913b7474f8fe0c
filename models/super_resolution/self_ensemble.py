"""Self-ensemble: the average over the eight flips and rotations of an image."""

from collections.abc import Callable

import torch
from torch import Tensor


def self_ensemble(net: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Averages the outputs of ``net`` for all 8 flips and rotations of the images ("EDSR+", Lim et al. 2017).

    Args:
        net: maps images (N, C, H, W) to images (N, C, s * H, s * W).
        images: (N, C, H, W).

    Returns:
        (N, C, s * H, s * W): the mean of the outputs, each transformed back.
    """
    variants = [(turns, mirror) for mirror in (False, True) for turns in range(4)]
    outputs = [_inverse(net(_transform(images, *variant)), *variant) for variant in variants]
    return torch.stack(outputs).mean(0)


def _transform(images: Tensor, turns: int, mirror: bool) -> Tensor:
    return torch.rot90(images.flip(-1) if mirror else images, turns, (-2, -1))


def _inverse(images: Tensor, turns: int, mirror: bool) -> Tensor:
    turned = torch.rot90(images, -turns, (-2, -1))
    return turned.flip(-1) if mirror else turned
