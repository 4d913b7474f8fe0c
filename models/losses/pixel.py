"""Losses that compare two images, or feature maps, element by element; float32 also under autocast."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def full_precision(x: Tensor) -> Tensor:
    """Converts lower precisions to float32, in which sums over an image are accurate; keeps float64 (gradcheck)."""
    return x if x.dtype == torch.float64 else x.float()


def mse(preds: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(*_checked(preds, target))


def mse_per_image(preds: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each image, (N,)."""
    difference = full_precision(preds) - full_precision(target)
    return difference.square().mean(list(range(1, difference.ndim)))  # no copy in channels-last order


def l1(preds: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error."""
    return F.l1_loss(*_checked(preds, target))


def charbonnier(preds: Tensor, target: Tensor, *, eps: float = 1e-3) -> Tensor:
    """Mean of ``sqrt((preds - target)^2 + eps^2)``, a smooth L1 loss (Lai et al. 2017, LapSRN).

    Args:
        preds: any shape.
        target: same shape as ``preds``.
        eps: error at which the loss changes from quadratic to linear, in units of the pixels.

    Returns:
        Scalar, ``eps`` for equal images.
    """
    preds, target = _checked(preds, target)
    return ((preds - target).square() + eps**2).sqrt().mean()


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of vertical neighbors plus that of horizontal neighbors.

    Args:
        images: (N, C, H, W), each side at least 2.

    Returns:
        (N,), float32 (float64 for float64).
    """
    x = full_precision(images)
    return x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))


class MSELoss(nn.Module):
    """Mean squared error of pixels: highest PSNR, and blurred where the net has to guess; a baseline."""

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compares images (N, C, H, W) and returns ``{"pixel": scalar}``."""
        return {"pixel": mse(preds, target)}


class L1Loss(nn.Module):
    """Mean absolute error of pixels, the loss of EDSR: it trains better than MSE, also measured by PSNR."""

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compares images (N, C, H, W) and returns ``{"pixel": scalar}``."""
        return {"pixel": l1(preds, target)}


class CharbonnierLoss(nn.Module):
    """Smooth L1 loss of pixels (``charbonnier``).

    Args:
        eps: error at which the loss changes from quadratic to linear, for pixels in [0, 1].

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


def _checked(preds: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if preds.shape != target.shape:
        raise ValueError(f"a tensor of shape {tuple(preds.shape)} cannot be compared with one of {tuple(target.shape)}")
    return full_precision(preds), full_precision(target)
