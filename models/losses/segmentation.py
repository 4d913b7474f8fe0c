"""The loss of segmentation: a weighted sum of cross-entropy, Dice, Tversky and Lovasz; float32 also under autocast.

One class: logits (N, 1, H, W) and target (N, H, W) in [0, 1], the foreground fraction of each pixel.
Several classes: logits (N, C, H, W) and target (N, H, W) int64. In both, pixels of 255 (``IGNORE``) are left out.

Every loss is computed per image and then averaged over images. The loss of a batch is therefore the same on one rank
or divided among several, however many pixels of each image are ignored.
"""

from dataclasses import dataclass, fields

from torch import Tensor

from models.losses.cross_entropy import bce, cross_entropy
from models.losses.lovasz import binary_lovasz_loss, class_lovasz_loss
from models.losses.overlap import binary_dice_loss, binary_tversky_loss, class_dice_loss, class_tversky_loss


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """Which parts the loss has, and their settings.

    Cross-entropy has useful gradients for every pixel from the first step. The others approximate the reported scores
    and keep improving the few pixels of outlines and small classes once nearly all others are correct.

    Args:
        cross_entropy_weight: weight of the cross-entropy.
        dice_weight: weight of the soft Dice loss.
        tversky_weight: weight of the Tversky loss.
        lovasz_weight: weight of the Lovasz hinge (one class) or Lovasz softmax (several).
        edge_weight: extra weight of pixels near the outline in the cross-entropy (one class only).
        focal_gamma: focusing exponent that turns the cross-entropy into the focal loss; 0 is plain cross-entropy.
        tversky_alpha: weight of false positives in the Tversky loss.
        tversky_beta: weight of false negatives in the Tversky loss.

    Raises:
        ValueError: if a number is negative, or no part has a weight.
    """

    cross_entropy_weight: float = 1.0
    dice_weight: float = 0.0
    tversky_weight: float = 0.0
    lovasz_weight: float = 0.0
    edge_weight: float = 0.0
    focal_gamma: float = 0.0
    tversky_alpha: float = 0.3
    tversky_beta: float = 0.7

    def __post_init__(self) -> None:
        """Checks every field."""
        for field in fields(self):
            if not (value := getattr(self, field.name)) >= 0:
                raise ValueError(f"{field.name} must be 0 or more, not {value}")
        if not (self.cross_entropy_weight or self.dice_weight or self.tversky_weight or self.lovasz_weight):
            raise ValueError("the loss has no part: set the weight of cross-entropy, Dice, Tversky or Lovasz above 0")
        if self.tversky_weight and not min(self.tversky_alpha, self.tversky_beta) > 0:
            raise ValueError(
                f"tversky_alpha and tversky_beta must be above 0, not {self.tversky_alpha} and {self.tversky_beta}"
            )


def binary_losses(logits: Tensor, target: Tensor, options: LossOptions) -> dict[str, Tensor]:
    """Weighted parts of the loss for one class; the loss is their sum.

    Args:
        logits: (N, 1, H, W).
        target: (N, H, W) in [0, 1], or 255 for ignored.
        options: parts of the loss.

    Returns:
        Scalars ``bce``, ``dice``, ``tversky``, ``lovasz``, multiplied by their weights; those of weight 0 are left out.
    """
    parts: dict[str, Tensor] = {}
    if options.cross_entropy_weight:
        parts["bce"] = options.cross_entropy_weight * bce(
            logits, target, edge=options.edge_weight, gamma=options.focal_gamma
        )
    if options.dice_weight:
        parts["dice"] = options.dice_weight * binary_dice_loss(logits, target)
    if options.tversky_weight:
        tversky = binary_tversky_loss(logits, target, alpha=options.tversky_alpha, beta=options.tversky_beta)
        parts["tversky"] = options.tversky_weight * tversky
    if options.lovasz_weight:
        parts["lovasz"] = options.lovasz_weight * binary_lovasz_loss(logits, target)
    return parts


def class_losses(
    logits: Tensor, target: Tensor, options: LossOptions, *, class_weights: Tensor | None = None
) -> dict[str, Tensor]:
    """Weighted parts of the loss for several classes; the loss is their sum.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 in 0..C-1, or 255 for ignored.
        options: parts of the loss.
        class_weights: (C,) weights of the classes in the cross-entropy. The other parts weight all classes equally.

    Returns:
        Scalars ``cross_entropy``, ``dice``, ``tversky``, ``lovasz``, multiplied by their weights; those of weight 0 are
        left out.
    """
    parts: dict[str, Tensor] = {}
    if options.cross_entropy_weight:
        entropy = cross_entropy(logits, target, gamma=options.focal_gamma, class_weights=class_weights)
        parts["cross_entropy"] = options.cross_entropy_weight * entropy
    if options.dice_weight:
        parts["dice"] = options.dice_weight * class_dice_loss(logits, target)
    if options.tversky_weight:
        tversky = class_tversky_loss(logits, target, alpha=options.tversky_alpha, beta=options.tversky_beta)
        parts["tversky"] = options.tversky_weight * tversky
    if options.lovasz_weight:
        parts["lovasz"] = options.lovasz_weight * class_lovasz_loss(logits, target)
    return parts
