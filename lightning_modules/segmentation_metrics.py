"""Dice, IoU and accuracy of masks, per image and over a whole set on all ranks."""

import math
from typing import TypedDict

import torch
from torch import Tensor
from torchmetrics import Metric

from models.losses.mask_target import IGNORE


class ImageScore(TypedDict):
    """One row of the test table."""

    name: str  # relative to the data's root
    dice: float  # of the single class, or mean over the classes in the image
    iou: float
    accuracy: float  # fraction of correct pixels


def count(preds: Tensor, target: Tensor, *, classes: int) -> Tensor:
    """Counts the pixels of each image and class from which all scores are computed.

    Plain sums are used because torchmetrics' counting builds a table of pixels times classes under deterministic
    algorithms (gigabytes for large images), and synchronizes with the GPU for each image otherwise.

    Args:
        preds: class numbers ``(N, H, W)``; for one class 1 is the class and 0 the background, or booleans.
        target: class numbers or booleans like ``preds``; 255 is ignored.
        classes: number of classes of the network.

    Returns:
        int64 ``(N, K, 3)``: pixels that are correct, in the target, in the prediction. ``K`` is the number of classes;
        for one class it is 2, background and class.

    >>> count(torch.tensor([[[1, 1, 0]]]), torch.tensor([[[1, 0, 0]]]), classes=1).tolist()
    [[[1, 2, 1], [1, 1, 2]]]
    """
    known = target != IGNORE
    counts = []
    for number in range(max(2, classes)):
        expected, predicted = target == number, (preds == number) & known
        correct = expected & predicted
        counts.append(torch.stack([x.sum((1, 2)) for x in (correct, expected, predicted)], dim=-1))
    return torch.stack(counts, dim=1)


def class_iou(counts: Tensor) -> Tensor:
    """Intersection over union per class; NaN for a class that is neither in the target nor predicted.

    Args:
        counts: ``(..., K, 3)`` from ``count``, of one image or summed over several.

    Returns:
        float ``(..., K)``; for a single class, background and class.
    """
    correct, expected, predicted = counts.unbind(-1)
    return correct / (expected + predicted - correct)


def class_dice(counts: Tensor) -> Tensor:
    """Dice coefficient per class; NaN for a class that is neither in the target nor predicted.

    Args:
        counts: ``(..., K, 3)`` from ``count``.

    Returns:
        float ``(..., K)``.
    """
    correct, expected, predicted = counts.unbind(-1)
    return 2 * correct / (expected + predicted)


def accuracy(counts: Tensor) -> Tensor:
    """Fraction of correct pixels among those that are not ignored.

    Args:
        counts: ``(..., K, 3)`` from ``count``.

    Returns:
        float ``(...)``; NaN if all pixels are ignored.
    """
    correct, expected, _ = counts.unbind(-1)
    return correct.sum(-1) / expected.sum(-1)


def image_dice(counts: Tensor, *, classes: int) -> Tensor:
    """Dice per image: of the single class, or the mean over the classes in target or prediction.

    An empty mask that is predicted as empty scores 1, as in Kaggle's Carvana challenge (torchmetrics leaves such
    images out, other implementations return 0).

    Args:
        counts: ``(N, K, 3)`` from ``count``.
        classes: number of classes of the network; for one class the background is left out.

    Returns:
        float ``(N,)``.
    """
    dice = class_dice(counts)
    return (dice[:, 1] if classes == 1 else dice.nanmean(-1)).nan_to_num(nan=1.0)


def image_iou(counts: Tensor, *, classes: int) -> Tensor:
    """IoU per image, with the conventions of ``image_dice``.

    Args:
        counts: ``(N, K, 3)`` from ``count``.
        classes: number of classes of the network.

    Returns:
        float ``(N,)``.
    """
    iou = class_iou(counts)
    return (iou[:, 1] if classes == 1 else iou.nanmean(-1)).nan_to_num(nan=1.0)


def score_table(names: list[str], counts: Tensor, classes: tuple[str, ...]) -> list[ImageScore]:
    """Returns the scores of images as rows of plain values.

    Args:
        names: of the N images, relative to the data's root.
        counts: ``(N, K, 3)`` from ``count``.
        classes: names of the classes of the network.

    Returns:
        One row per image; accuracy is 1 if all pixels are ignored.
    """
    columns = (
        image_dice(counts, classes=len(classes)).tolist(),
        image_iou(counts, classes=len(classes)).tolist(),
        accuracy(counts).nan_to_num(nan=1.0).tolist(),
    )
    rows = zip(names, *columns, strict=True)
    return [{"name": name, "dice": dice, "iou": iou, "accuracy": correct} for name, dice, iou, correct in rows]


class SegmentScores(Metric):
    """Scores of a whole set: IoU and accuracy from pooled pixel counts, Dice and loss as means over images.

    Only sums are stored and reduced over ranks. A short last batch, or ranks with different numbers of images (or
    none), therefore do not change the result.

    Args:
        classes: names of the classes of the network.
    """

    full_state_update = False
    counts: Tensor
    dice: Tensor
    loss: Tensor
    images: Tensor

    def __init__(self, *, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("counts", torch.zeros(max(2, len(classes)), 3, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("dice", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("loss", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, counts: Tensor, loss: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            counts: ``(N, K, 3)`` from ``count``.
            loss: mean loss ``()`` of the batch; ``None`` (for all batches) if there is no loss to report.
        """
        self.counts += counts.sum(0)
        self.dice += image_dice(counts, classes=len(self.classes)).sum()
        self.loss += math.nan if loss is None else loss * len(counts)
        self.images += len(counts)

    def compute(self) -> dict[str, Tensor]:
        """Returns the scores by name.

        Returns:
            ``loss`` (NaN without losses) and ``dice``, means over images; ``iou`` of the single class, or the mean
            over the classes that occur; ``accuracy``; for several classes ``iou/<class>`` (NaN if it never occurs).
        """
        iou = class_iou(self.counts)
        several = len(self.classes) > 1
        scores = {
            "loss": self.loss / self.images,
            "dice": self.dice / self.images,
            "iou": iou.nanmean() if several else iou[1].nan_to_num(nan=1.0),
            "accuracy": accuracy(self.counts),
        }
        if several:
            scores |= {f"iou/{name}": value for name, value in zip(self.classes, iou, strict=True)}
        return scores
