"""Losses that compare two images, or feature maps, number by number: float32 out, also under autocast."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def full_precision(x: Tensor) -> Tensor:
    """Converts lower precisions to float32, in which sums over an image are accurate; keeps float64 (gradcheck)."""
    return x if x.dtype == torch.float64 else x.float()


def mse(preds: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(*_full(preds, target))


def l1(preds: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error."""
    return F.l1_loss(*_full(preds, target))


def charbonnier(preds: Tensor, target: Tensor, *, eps: float = 1e-3) -> Tensor:
    """Mean of ``sqrt((preds - target)^2 + eps^2)``: L1 with a rounded tip (Lai et al. 2017, LapSRN).

    Args:
        preds: any shape.
        target: the same shape.
        eps: where squares turn into absolute values, in units of the pixels.

    Returns:
        Scalar, ``eps`` where the images are equal.
    """
    preds, target = _full(preds, target)
    return ((preds - target).square() + eps**2).sqrt().mean()


class MSELoss(nn.Module):
    """Mean squared error of pixels: the best PSNR, and blurred where the net has to guess. Kept as a comparison."""

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compares images (N, C, H, W) and returns ``{"pixel": scalar}``."""
        return {"pixel": mse(preds, target)}


class L1Loss(nn.Module):
    """Mean absolute error of pixels, as EDSR trains: trains better than squares, also by PSNR."""

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compares images (N, C, H, W) and returns ``{"pixel": scalar}``."""
        return {"pixel": l1(preds, target)}


class CharbonnierLoss(nn.Module):
    """The smooth L1 of ``charbonnier``.

    Args:
        eps: where squares turn into absolute values, in units of pixels in [0, 1].

    Raises:
        ValueError: if ``eps`` is not above 0.
    """

    def __init__(self, *, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"eps must be above 0, not {eps}")
        self.eps = eps

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compares images (N, C, H, W) and returns ``{"pixel": scalar}``."""
        return {"pixel": charbonnier(preds, target, eps=self.eps)}


def _full(preds: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if preds.shape != target.shape:
        raise ValueError(f"a tensor of shape {tuple(preds.shape)} cannot be compared with one of {tuple(target.shape)}")
    if preds.dtype == torch.float64:
        return preds, target
    return preds.float(), target.float()
