"""Dice, IoU and accuracy of masks: what one image scores, and what a whole set scores over all processes."""

import math
from typing import TypedDict

import torch
from torch import Tensor
from torchmetrics import Metric

from models.losses.segmentation import IGNORE


class ImageScore(TypedDict):
    """One line of the per-image table of a test."""

    name: str  # relative to the data's root
    dice: float  # of the one class, or the mean over the classes in the image
    iou: float
    accuracy: float  # share of the pixels that are right


def count(preds: Tensor, target: Tensor, *, classes: int) -> Tensor:
    """Counts, image by image and class by class, the pixels that all scores are made of.

    Plain sums: torchmetrics' own counting builds a table of pixels times classes where deterministic algorithms
    are asked for (gigabytes for large images), and waits for the GPU once an image otherwise.

    Args:
        preds: class numbers ``(N, H, W)``; for one class 1 is the class and 0 the background, or bools.
        target: the same for the truth; ``255`` is left out where there are several classes.
        classes: how many classes the network tells apart.

    Returns:
        int64 ``(N, K, 3)``: pixels right, in the truth and in the prediction. ``K`` is the number of classes, or 2
        for one class: its background and itself.

    >>> count(torch.tensor([[[1, 1, 0]]]), torch.tensor([[[1, 0, 0]]]), classes=1).tolist()
    [[[1, 2, 1], [1, 1, 2]]]
    """
    known = torch.ones_like(target, dtype=torch.bool) if classes == 1 else target != IGNORE
    counts = []
    for number in range(max(2, classes)):
        truth, found = target == number, (preds == number) & known
        counts.append(torch.stack([(truth & found).sum((1, 2)), truth.sum((1, 2)), found.sum((1, 2))], dim=-1))
    return torch.stack(counts, dim=1)


def class_iou(counts: Tensor) -> Tensor:
    """Intersection over union of every class: nan for a class that is neither there nor predicted.

    Args:
        counts: ``(..., K, 3)`` of ``count``, of one image or summed over many.

    Returns:
        float ``(..., K)``; the last entry is the class where there is only one, the first its background.
    """
    hit, in_truth, in_preds = counts.unbind(-1)
    return hit / (in_truth + in_preds - hit)


def class_dice(counts: Tensor) -> Tensor:
    """Dice coefficient of every class: nan for a class that is neither there nor predicted.

    Args:
        counts: ``(..., K, 3)`` of ``count``.

    Returns:
        float ``(..., K)``.
    """
    hit, in_truth, in_preds = counts.unbind(-1)
    return 2 * hit / (in_truth + in_preds)


def accuracy(counts: Tensor) -> Tensor:
    """Share of the pixels (those not ignored) that got their right class.

    Args:
        counts: ``(..., K, 3)`` of ``count``.

    Returns:
        float ``(...)``; nan where every pixel is ignored.
    """
    hit, in_truth, _ = counts.unbind(-1)
    return hit.sum(-1) / in_truth.sum(-1)


def image_dice(counts: Tensor, *, classes: int) -> Tensor:
    """Dice of every image: of the one class, or the mean over the classes that occur in it.

    An image with nothing to find in which nothing was found scores 1, as Kaggle's Carvana judge has it
    (torchmetrics leaves such images out, others give them 0).

    Args:
        counts: ``(N, K, 3)`` of ``count``.
        classes: how many classes the network tells apart; with one the background does not count.

    Returns:
        float ``(N,)``.
    """
    dice = class_dice(counts)
    return (dice[:, 1] if classes == 1 else dice.nanmean(-1)).nan_to_num(nan=1.0)


def image_iou(counts: Tensor, *, classes: int) -> Tensor:
    """IoU of every image, by the rules of ``image_dice``.

    Args:
        counts: ``(N, K, 3)`` of ``count``.
        classes: how many classes the network tells apart.

    Returns:
        float ``(N,)``.
    """
    iou = class_iou(counts)
    return (iou[:, 1] if classes == 1 else iou.nanmean(-1)).nan_to_num(nan=1.0)


def score_table(names: list[str], counts: Tensor, classes: tuple[str, ...]) -> list[ImageScore]:
    """Writes the scores of images in words and plain numbers.

    Args:
        names: of the N images.
        counts: ``(N, K, 3)`` of ``count``.
        classes: names of the classes the network tells apart.

    Returns:
        One row per image; accuracy is 1 where every pixel is ignored.
    """
    columns = (
        image_dice(counts, classes=len(classes)).tolist(),
        image_iou(counts, classes=len(classes)).tolist(),
        accuracy(counts).nan_to_num(nan=1.0).tolist(),
    )
    rows = zip(names, *columns, strict=True)
    return [{"name": name, "dice": dice, "iou": iou, "accuracy": share} for name, dice, iou, share in rows]


class SegmentScores(Metric):
    """Scores of a whole set: pixel counts are pooled, Dice is the mean over images, the loss too.

    Sums are all that is kept and sent between processes, so neither a short last batch nor processes with
    different numbers of images (or none) change the result.

    Args:
        classes: names of the classes the network tells apart.
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
            counts: ``(N, K, 3)`` of ``count``.
            loss: the batch's mean loss ``()``; ``None`` where there is none to report, in all batches or in none.
        """
        self.counts += counts.sum(0)
        self.dice += image_dice(counts, classes=len(self.classes)).sum()
        self.loss += math.nan if loss is None else loss * len(counts)
        self.images += len(counts)

    def compute(self) -> dict[str, Tensor]:
        """Gives the scores by name.

        Returns:
            ``loss`` and ``dice`` (means over images), ``iou`` (of the one class, or the mean over the classes
            that occur), ``accuracy`` and, for several classes, ``iou/<class>`` for each (nan if it never occurs).
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
