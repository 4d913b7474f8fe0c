"""Targets of segmentation: which pixels count, and one class in the form that the losses use.

One class: target (N, H, W) in [0, 1], the foreground fraction of each pixel. Several classes: target (N, H, W) int64
class numbers. In both, pixels of the value ``IGNORE`` are left out of every loss and metric.
"""

import torch
from torch import Tensor

from models.losses.pixel import full_precision

#: Value of pixels that losses and metrics leave out, with one class and with several.
IGNORE = 255


def hard_target(target: Tensor, *, classes: int) -> Tensor:
    """Class numbers of a target: of one class 0 or 1, from a foreground fraction of 0.5 on; 255 where it is ignored.

    Args:
        target: (..., H, W), one class: float in [0, 1] or 255; several: class numbers.
        classes: number of classes of the network.

    >>> hard_target(torch.tensor([0.2, 0.5, 255.0]), classes=1).tolist()
    [0, 1, 255]
    """
    if classes > 1:
        return target
    return torch.where(target == IGNORE, IGNORE, target >= 0.5).to(torch.uint8)


def one_class(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Checks logits and target of one class.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1], or 255 for ignored.

    Returns:
        Logits, target (0 where it is ignored) and 1 for the pixels that count, 0 for the others; all (N, H, W), in
        float32, or float64 if the logits are.

    Raises:
        ValueError: if the shapes do not fit each other.
    """
    if logits.shape[1:2] != (1,) or logits.shape[:1] + logits.shape[2:] != target.shape:
        raise ValueError(
            f"one class needs logits (N, 1, H, W) and a target (N, H, W), not {tuple(logits.shape)} and "
            f"{tuple(target.shape)}"
        )
    logits = full_precision(logits).squeeze(1)
    known = (target != IGNORE).to(logits.dtype)
    return logits, target.to(logits.dtype) * known, known


def class_masks(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and target of several classes, one mask for each class, 0 where a pixel is ignored.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.

    Returns:
        Two tensors (N, C, H, W) in [0, 1], in float32, or float64 if the logits are.
    """
    probs = full_precision(logits).softmax(1) * (target != IGNORE).unsqueeze(1)
    classes = torch.arange(logits.shape[1], device=target.device).view(1, -1, 1, 1)
    return probs, (target.unsqueeze(1) == classes).to(probs)


def image_mean(losses: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the pixels of each image, then the mean over images; 0 for an image without weight.

    Args:
        losses: (N, H, W).
        weight: (N, H, W), at least 0.
    """
    return ((weight * losses).sum((1, 2)) / weight.sum((1, 2)).clamp_min(tiny(losses))).mean()


def present_mean(losses: Tensor, sizes: Tensor) -> Tensor:
    """Mean over the classes in the target of each image, then over images; 0 for an image without any.

    Args:
        losses: (N, C), one per image and class.
        sizes: (N, C), pixels of the class in the target.
    """
    present = sizes > 0
    return (torch.where(present, losses, 0.0).sum(1) / present.sum(1).clamp_min(1)).mean()


def tiny(values: Tensor) -> float:
    """The smallest normal number of a dtype, to divide by instead of 0."""
    return torch.finfo(values.dtype).tiny
