"""Segmentation losses as pure functions of logits and targets; float32 also under autocast.

One class: logits (N, 1, H, W) and target (N, H, W) in [0, 1], the foreground fraction of each pixel.
Several classes: logits (N, C, H, W) and target (N, H, W) int64, where ``IGNORE`` (255) is left out.

Every loss is computed per image and then averaged over images. The loss of a batch is therefore the same on one rank
or divided among several, however many pixels of each image are ignored.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.losses.pixel import full_precision

#: Class number of pixels that losses and metrics leave out.
IGNORE = 255


def binary_losses(logits: Tensor, target: Tensor, *, dice: float = 1.0, edge: float = 0.0) -> dict[str, Tensor]:
    """Weighted parts of the loss for one class; the loss is their sum.

    Cross-entropy has useful gradients for every pixel from the first step. Soft Dice approximates the reported score
    and keeps improving the few pixels of the outline once nearly all others are correct.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1].
        dice: weight of the Dice loss; 0 leaves it out.
        edge: extra weight of pixels near the outline in the cross-entropy (see ``bce``).

    Returns:
        ``{"bce": ..., "dice": ...}``, scalars multiplied by their weights.
    """
    parts = {"bce": bce(logits, target, edge=edge)}
    if dice:
        parts["dice"] = dice * binary_dice_loss(logits, target)
    return parts


def class_losses(logits: Tensor, target: Tensor, *, dice: float = 0.0) -> dict[str, Tensor]:
    """Weighted parts of the loss for several classes; the loss is their sum.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.
        dice: weight of the Dice loss; 0 leaves it out.

    Returns:
        ``{"cross_entropy": ..., "dice": ...}``, scalars multiplied by their weights.
    """
    parts = {"cross_entropy": cross_entropy(logits, target)}
    if dice:
        parts["dice"] = dice * class_dice_loss(logits, target)
    return parts


def bce(logits: Tensor, target: Tensor, *, edge: float = 0.0) -> Tensor:
    """Binary cross-entropy, averaged over pixels.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1].
        edge: pixels within two pixels of the outline have the weight ``1 + edge``, all others 1. The weighted mean of
            each image is taken, so the loss does not scale with the length of the outline. 0 is plain cross-entropy.
    """
    logits, target = _one_class(logits, target)
    if not edge:
        return F.binary_cross_entropy_with_logits(logits, target)  # equals the mean over images of one size
    weight = 1 + edge * outline(target)
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((weight * losses).sum((1, 2)) / weight.sum((1, 2))).mean()


def outline(target: Tensor, *, radius: int = 2) -> Tensor:
    """Range of the target within a square window of ``radius`` pixels: 1 at a hard outline, 0 elsewhere.

    Args:
        target: (N, H, W) in [0, 1].
        radius: in pixels.

    Returns:
        (N, H, W) in [0, 1].
    """
    maps = target.unsqueeze(1)
    highest = F.max_pool2d(maps, 2 * radius + 1, stride=1, padding=radius)
    lowest = -F.max_pool2d(-maps, 2 * radius + 1, stride=1, padding=radius)
    return (highest - lowest).squeeze(1)


def binary_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss, ``sum |p - t| / (sum p + sum t)`` per image, averaged over images.

    For targets of 0 and 1 this equals ``1 - 2 sum p t / (sum p + sum t)`` (Milletari et al. 2016); unlike that, its
    minimum is at ``p = t`` for fractional targets as well (Wang et al. 2023, "Dice Semimetric Losses"). An image
    without foreground counts as 0, since its Dice loss would be a constant 1.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1].

    Returns:
        Scalar in [0, 1].
    """
    logits, target = _one_class(logits, target)
    probs = logits.sigmoid()
    sizes = target.sum((1, 2))
    error = (probs - target).abs().sum((1, 2)) / (probs.sum((1, 2)) + sizes).clamp_min(_tiny(probs))
    return torch.where(sizes > 0, error, 0.0).mean()


def class_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss, averaged over the classes in the target of an image, then over images.

    An image whose pixels are all ignored counts as 0.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.

    Returns:
        Scalar in [0, 1].
    """
    logits = full_precision(logits)
    known = (target != IGNORE).unsqueeze(1)
    probs = logits.softmax(1) * known
    classes = torch.arange(logits.shape[1], device=target.device).view(1, -1, 1, 1)
    one_hot = (target.unsqueeze(1) == classes).to(probs)
    sizes = one_hot.sum((2, 3))
    error = (probs - one_hot).abs().sum((2, 3)) / (probs.sum((2, 3)) + sizes).clamp_min(_tiny(probs))
    present = sizes > 0
    per_image = torch.where(present, error, 0.0).sum(1) / present.sum(1).clamp_min(1)
    return per_image.mean()


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy, averaged over the pixels of an image that are not ignored, then over images.

    An image whose pixels are all ignored counts as 0.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.
    """
    losses = F.cross_entropy(full_precision(logits), target, ignore_index=IGNORE, reduction="none")
    return (losses.sum((1, 2)) / (target != IGNORE).sum((1, 2)).clamp_min(1)).mean()


def _one_class(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if logits.shape[1:2] != (1,) or logits.shape[:1] + logits.shape[2:] != target.shape:
        raise ValueError(
            f"one class needs logits (N, 1, H, W) and a target (N, H, W), not {tuple(logits.shape)} and "
            f"{tuple(target.shape)}"
        )
    logits = full_precision(logits).squeeze(1)
    return logits, target.to(logits.dtype)


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).tiny
