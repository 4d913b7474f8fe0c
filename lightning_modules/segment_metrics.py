"""Dice, IoU and accuracy of masks: what one picture scores, and what a whole set scores over all processes."""

import math
from typing import TypedDict

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_confusion_matrix, multiclass_confusion_matrix

from models.losses import IGNORE


class PictureScore(TypedDict):
    """One line of the per-picture table of a test."""

    name: str  # relative to the data's root
    dice: float  # of the one class, or the mean over the classes in the picture
    iou: float
    accuracy: float  # share of the pixels that are right


def confusions(preds: Tensor, target: Tensor, *, classes: int) -> Tensor:
    """Counts, picture by picture, which class was taken for which.

    Args:
        preds: class numbers ``(N, H, W)``; for one class 1 is the class and 0 the background, or bools.
        target: the same for the truth; ``255`` is left out where there are several classes.
        classes: how many classes the network tells apart; with one there are two rows, background and class.

    Returns:
        int64 ``(N, K, K)`` pixel counts, truth down the rows, ``K = 2`` for one class.

    >>> confusions(torch.tensor([[[1, 1, 0]]]), torch.tensor([[[1, 0, 0]]]), classes=1).tolist()
    [[[1, 1], [0, 1]]]
    """
    pairs = zip(preds, target, strict=True)
    if classes == 1:  # on bools torchmetrics counts 10 times as fast as on numbers
        tables = [binary_confusion_matrix(p.bool(), t.bool(), validate_args=False) for p, t in pairs]
    else:
        tables = [
            multiclass_confusion_matrix(p.long(), t.long(), classes, ignore_index=IGNORE, validate_args=False)
            for p, t in pairs
        ]
    return torch.stack(tables)


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of every class: nan for a class that is neither there nor predicted.

    Args:
        confusion: ``(..., K, K)`` counts of ``confusions``, of one picture or summed over many.

    Returns:
        float ``(..., K)``; the last entry is the class where there is only one, the first its background.
    """
    hit, in_truth, in_preds = _counts(confusion)
    return hit / (in_truth + in_preds - hit)


def class_dice(confusion: Tensor) -> Tensor:
    """Dice coefficient of every class: nan for a class that is neither there nor predicted.

    Args:
        confusion: ``(..., K, K)`` counts of ``confusions``.

    Returns:
        float ``(..., K)``.
    """
    hit, in_truth, in_preds = _counts(confusion)
    return 2 * hit / (in_truth + in_preds)


def accuracy(confusion: Tensor) -> Tensor:
    """Share of the pixels (those not ignored) that got their right class.

    Args:
        confusion: ``(..., K, K)`` counts of ``confusions``.

    Returns:
        float ``(...)``; nan where every pixel is ignored.
    """
    return _counts(confusion)[0].sum(-1) / confusion.sum((-1, -2))


def picture_dice(confusion: Tensor, *, classes: int) -> Tensor:
    """Dice of every picture: of the one class, or the mean over the classes that occur in it.

    A picture with nothing to find in which nothing was found scores 1, as Kaggle's Carvana judge has it
    (torchmetrics leaves such pictures out, others give them 0).

    Args:
        confusion: ``(N, K, K)`` counts of ``confusions``.
        classes: how many classes the network tells apart; with one the background does not count.

    Returns:
        float ``(N,)``.
    """
    dice = class_dice(confusion)
    return (dice[:, 1] if classes == 1 else dice.nanmean(-1)).nan_to_num(nan=1.0)


def picture_iou(confusion: Tensor, *, classes: int) -> Tensor:
    """IoU of every picture, by the rules of ``picture_dice``.

    Args:
        confusion: ``(N, K, K)`` counts of ``confusions``.
        classes: how many classes the network tells apart.

    Returns:
        float ``(N,)``.
    """
    iou = class_iou(confusion)
    return (iou[:, 1] if classes == 1 else iou.nanmean(-1)).nan_to_num(nan=1.0)


def score_table(names: list[str], confusion: Tensor, classes: tuple[str, ...]) -> list[PictureScore]:
    """Writes the scores of pictures in words and plain numbers.

    Args:
        names: of the N pictures.
        confusion: ``(N, K, K)`` counts of ``confusions``.
        classes: names of the classes the network tells apart.

    Returns:
        One row per picture; accuracy is 1 where every pixel is ignored.
    """
    columns = (
        picture_dice(confusion, classes=len(classes)).tolist(),
        picture_iou(confusion, classes=len(classes)).tolist(),
        accuracy(confusion).nan_to_num(nan=1.0).tolist(),
    )
    rows = zip(names, *columns, strict=True)
    return [{"name": name, "dice": dice, "iou": iou, "accuracy": share} for name, dice, iou, share in rows]


class SegmentScores(Metric):
    """Scores of a whole set: pixel counts are pooled, Dice is the mean over pictures, the loss too.

    Sums are all that is kept and sent between processes, so neither a short last batch nor processes with
    different numbers of pictures (or none) change the result.

    Args:
        classes: names of the classes the network tells apart.
    """

    full_state_update = False
    confusion: Tensor
    dice: Tensor
    loss: Tensor
    pictures: Tensor

    def __init__(self, *, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.classes = classes
        side = max(2, len(classes))
        self.add_state("confusion", torch.zeros(side, side, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("dice", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("loss", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("pictures", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, confusion: Tensor, loss: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            confusion: ``(N, K, K)`` counts of ``confusions``.
            loss: the batch's mean loss ``()``; ``None`` where there is none to report, in all batches or in none.
        """
        self.confusion += confusion.sum(0)
        self.dice += picture_dice(confusion, classes=len(self.classes)).sum()
        self.loss += math.nan if loss is None else loss * len(confusion)
        self.pictures += len(confusion)

    def compute(self) -> dict[str, Tensor]:
        """Gives the scores by name.

        Returns:
            ``loss`` and ``dice`` (means over pictures), ``iou`` (of the one class, or the mean over the classes
            that occur), ``accuracy`` and, for several classes, ``iou/<class>`` for each (nan if it never occurs).
        """
        iou = class_iou(self.confusion)
        several = len(self.classes) > 1
        scores = {
            "loss": self.loss / self.pictures,
            "dice": self.dice / self.pictures,
            "iou": iou.nanmean() if several else iou[1].nan_to_num(nan=1.0),
            "accuracy": accuracy(self.confusion),
        }
        if several:
            scores |= {f"iou/{name}": value for name, value in zip(self.classes, iou, strict=True)}
        return scores


def _counts(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels right, in the truth and in the prediction, class by class."""
    return confusion.diagonal(dim1=-2, dim2=-1), confusion.sum(-1), confusion.sum(-2)
