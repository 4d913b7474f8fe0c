"""Lovasz losses: convex surrogates of the IoU (Berman et al. 2018), per image.

The errors of the pixels are sorted. The loss is their sum, each weighted by how much the Jaccard index falls if this
pixel is wrong in addition to those with larger errors. Ignored pixels come last with the error 0.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.losses.mask_target import IGNORE, class_masks, one_class, present_mean


def binary_lovasz_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Lovasz hinge, averaged over images.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1], foreground from 0.5 on, or 255 for ignored.

    Returns:
        Scalar, at least 0.
    """
    logits, target, known = one_class(logits, target)
    positive = (target >= 0.5).to(logits.dtype)
    hinge = 1 - logits * (2 * positive - 1)
    errors = torch.where(known > 0, hinge, torch.finfo(hinge.dtype).min)
    return _lovasz(errors.flatten(1), positive.flatten(1)).mean()


def class_lovasz_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Lovasz softmax, averaged over the classes in the target of an image, then over images.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.

    Returns:
        Scalar in [0, 1].
    """
    probs, masks = class_masks(logits, target)
    errors = torch.where((target == IGNORE).unsqueeze(1), -1.0, (masks - probs).abs())
    return present_mean(_lovasz(errors.flatten(2), masks.flatten(2)), masks.sum((2, 3)))


def _lovasz(errors: Tensor, positive: Tensor) -> Tensor:
    """Lovasz extension of the Jaccard loss over the last axis; errors below 0 count as 0."""
    errors, order = errors.sort(-1, descending=True)
    positive = positive.gather(-1, order)
    size = positive.sum(-1, keepdim=True)
    intersection = size - positive.cumsum(-1)
    union = size + (1 - positive).cumsum(-1)
    jaccard = 1 - intersection / union
    steps = torch.cat([jaccard[..., :1], jaccard.diff(dim=-1)], dim=-1)
    return (F.relu(errors) * steps).sum(-1)
