"""Gram matrices (Gatys et al. 2016): which features occur together in an image, averaged over positions."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.losses.pixel import full_precision


def gram_matrix(features: Tensor) -> Tensor:
    """Inner products of all pairs of channels, one matrix per image.

    fast.ai's lesson 14 does the same; it corrects the version of the week before, which mixed the images of a batch.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, C, C), float32 also under autocast (float64 for float64): the sum over positions divided by C * H * W
        (Johnson et al. 2016), so that images of different size can be compared.

    >>> gram_matrix(torch.ones(1, 2, 8, 8))
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    _, channels, height, width = features.shape
    with torch.autocast(features.device.type, enabled=False):
        rows = full_precision(features.flatten(2))
        matrices: Tensor = _Products.apply(rows)
        return matrices / (channels * height * width)


class _Products(torch.autograd.Function):
    """Inner products of the rows of matrices; the gradient takes one product, where autograd of ``bmm`` takes two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return torch.bmm(rows, rows.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        both = gradient + gradient.transpose(1, 2)  # symmetric
        if rows.stride(1) == 1:  # channels-last: the gradient in the same order, which the layers before expect
            return torch.bmm(rows.transpose(1, 2), both).transpose(1, 2)
        return torch.bmm(both, rows)


def color_moments(images: Tensor) -> Tensor:
    """First and second moments of the colors of an image, independent of positions: its palette and contrast.

    Args:
        images: (N, 3, H, W), RGB.

    Returns:
        (N, 4, 4), float32 (float64 for float64): the Gram matrix of the channels red, green, blue and a constant 1.
        Its last row holds the means divided by 4. Images with equal matrices have equal color covariances too.

    >>> color_moments(torch.tensor([0.0, 0.5, 1.0]).reshape(1, 3, 1, 1))[0, :, 3]
    tensor([0.0000, 0.1250, 0.2500, 0.2500])
    """
    return gram_matrix(torch.cat([images, torch.ones_like(images[:, :1])], 1))
