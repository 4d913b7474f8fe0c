"""Losses of the overlap of masks: Dice (Milletari et al. 2016) and Tversky (Salehi et al. 2017), per image and class.

A class that is not in the target of an image counts as 0: its loss would be a constant 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.losses.mask_target import class_masks, one_class, present_mean, tiny


def binary_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss, ``sum |p - t| / (sum p + sum t)`` per image, averaged over images.

    For targets of 0 and 1 this equals ``1 - 2 sum p t / (sum p + sum t)`` (Milletari et al. 2016); unlike that, its
    minimum is at ``p = t`` for fractional targets as well (Wang et al. 2023, "Dice Semimetric Losses").

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1], or 255 for ignored.

    Returns:
        Scalar in [0, 1].
    """
    return _dice(*_binary_masks(logits, target))


def class_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss, averaged over the classes in the target of an image, then over images.

    An image whose pixels are all ignored counts as 0.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.

    Returns:
        Scalar in [0, 1].
    """
    return _dice(*class_masks(logits, target))


def binary_tversky_loss(logits: Tensor, target: Tensor, *, alpha: float, beta: float) -> Tensor:
    """Tversky loss ``1 - TP / (TP + alpha FP + beta FN)`` per image, averaged over images.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1], or 255 for ignored.
        alpha: weight of false positives, above 0.
        beta: weight of false negatives, above 0; above ``alpha`` it favors recall. 0.5 for both is the Dice loss.

    Returns:
        Scalar in [0, 1].
    """
    return _tversky(*_binary_masks(logits, target), alpha=alpha, beta=beta)


def class_tversky_loss(logits: Tensor, target: Tensor, *, alpha: float, beta: float) -> Tensor:
    """Tversky loss, averaged over the classes in the target of an image, then over images.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.
        alpha: weight of false positives, above 0.
        beta: weight of false negatives, above 0.

    Returns:
        Scalar in [0, 1].
    """
    return _tversky(*class_masks(logits, target), alpha=alpha, beta=beta)


def _binary_masks(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    logits, target, known = one_class(logits, target)
    return (logits.sigmoid() * known).unsqueeze(1), target.unsqueeze(1)


def _dice(probs: Tensor, target: Tensor) -> Tensor:
    sizes = target.sum((2, 3))
    error = (probs - target).abs().sum((2, 3)) / (probs.sum((2, 3)) + sizes).clamp_min(tiny(probs))
    return present_mean(error, sizes)


def _tversky(probs: Tensor, target: Tensor, *, alpha: float, beta: float) -> Tensor:
    """With minimum and differences in place of products, the loss is smallest at ``p = t`` for fractions as well."""
    hit = torch.minimum(probs, target).sum((2, 3))
    miss = alpha * F.relu(probs - target).sum((2, 3)) + beta * F.relu(target - probs).sum((2, 3))
    return present_mean(miss / (hit + miss).clamp_min(tiny(probs)), target.sum((2, 3)))
