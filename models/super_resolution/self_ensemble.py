"""The eight symmetries of the square, to ask a network eight times."""

from collections.abc import Callable

import torch
from torch import Tensor


def self_ensemble(net: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Averages what ``net`` makes of the image turned and mirrored in all 8 ways ("EDSR+", Lim et al. 2017).

    Args:
        net: maps images to images, of the same proportions.
        images: (N, C, H, W).

    Returns:
        What ``net`` gives of ``images``, in the mean.
    """
    made = [_undone(net(_done(images, turns, mirror)), turns, mirror) for mirror in (False, True) for turns in range(4)]
    return torch.stack(made).mean(0)


def _done(images: Tensor, turns: int, mirror: bool) -> Tensor:
    return torch.rot90(images.flip(-1) if mirror else images, turns, (-2, -1))


def _undone(images: Tensor, turns: int, mirror: bool) -> Tensor:
    turned = torch.rot90(images, -turns, (-2, -1))
    return turned.flip(-1) if mirror else turned
