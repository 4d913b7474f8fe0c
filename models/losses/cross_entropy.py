"""Cross-entropy of masks, optionally focal (Lin et al. 2017) and weighted by class or along the outline."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.losses.mask_target import IGNORE, image_mean, one_class
from models.losses.pixel import full_precision


def bce(logits: Tensor, target: Tensor, *, edge: float = 0.0, gamma: float = 0.0) -> Tensor:
    """Binary cross-entropy, averaged over the pixels of an image that are not ignored, then over images.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1], or 255 for ignored.
        edge: pixels within two pixels of the outline have the weight ``1 + edge``, all others 1. The weighted mean of
            each image is taken, so the loss does not scale with the length of the outline.
        gamma: focusing exponent of the focal loss: the loss of a pixel is multiplied by ``|p - t| ** gamma``. For
            targets of 0 and 1 this is ``(1 - p_t) ** gamma`` of Lin et al.; for fractions it is the quality focal loss
            of Li et al. (2020). 0 is plain cross-entropy.
    """
    weight_of_outline = outline(target) if edge else None
    logits, target, known = one_class(logits, target)
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if gamma:
        losses = losses * _power((logits.sigmoid() - target).abs(), gamma)
    weight = known if weight_of_outline is None else known * (1 + edge * weight_of_outline)
    return image_mean(losses, weight)


def cross_entropy(logits: Tensor, target: Tensor, *, gamma: float = 0.0, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy, averaged over the pixels of an image that are not ignored, then over images.

    An image whose pixels are all ignored counts as 0.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.
        gamma: focusing exponent of the focal loss, here with softmax: the loss of a pixel is multiplied by
            ``(1 - p_t) ** gamma``. 0 is plain cross-entropy.
        class_weights: (C,) weight of the pixels of each class in the mean, as in PyTorch's ``weight``.
    """
    losses = F.cross_entropy(full_precision(logits), target, ignore_index=IGNORE, reduction="none")
    if gamma:
        losses = losses * _power(-torch.expm1(-losses), gamma)
    known = target != IGNORE
    if class_weights is None:
        return image_mean(losses, known.to(losses.dtype))
    return image_mean(losses, class_weights.to(losses.dtype)[torch.where(known, target, 0)] * known)


def outline(target: Tensor, *, radius: int = 2) -> Tensor:
    """Range of the target within a square window of ``radius`` pixels: 1 at a hard outline, 0 elsewhere.

    Ignored pixels are left out of the window.

    Args:
        target: (N, H, W) in [0, 1], or 255 for ignored.
        radius: in pixels.

    Returns:
        (N, H, W) in [0, 1].
    """
    known, maps = (target != IGNORE).unsqueeze(1), target.unsqueeze(1)
    highest = _window_maximum(torch.where(known, maps, 0), radius)
    lowest = -_window_maximum(-torch.where(known, maps, 1), radius)
    return (highest - lowest).clamp_min(0).squeeze(1)


def _window_maximum(maps: Tensor, radius: int) -> Tensor:
    return F.max_pool2d(maps, 2 * radius + 1, stride=1, padding=radius)


def _power(error: Tensor, gamma: float) -> Tensor:
    """``error ** gamma``; below 1, its derivative at 0 would be infinite."""
    return error.clamp_min(torch.finfo(error.dtype).eps) ** gamma
