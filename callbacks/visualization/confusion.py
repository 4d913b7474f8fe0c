"""Confusion matrix of the classes of a segmentation, and a figure of it with the IoU of each class."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.visualization.masks import palette
from models.losses.mask_target import IGNORE

WIDTH, HEIGHT = 980, 640
_MANY = 15  # with more classes, the percentages in the cells cannot be read and are left out


def confusion_matrix(preds: Tensor, target: Tensor, *, classes: int) -> Tensor:
    """Counts pixels by their class in the target and in the prediction.

    Args:
        preds: class numbers.
        target: class numbers, same shape; 255 is ignored.
        classes: number of classes K.

    Returns:
        int64 ``(K, K)``; rows are target classes, columns predicted classes.

    >>> confusion_matrix(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 255]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    known = target != IGNORE
    pairs = target[known].long() * classes + preds[known].long()
    return torch.bincount(pairs.cpu(), minlength=classes**2).view(classes, classes)


def iou_of(matrix: Tensor) -> Tensor:
    """IoU ``(K,)`` of each class; NaN for a class that is neither in the target nor predicted."""
    correct = matrix.diagonal()
    return correct / (matrix.sum(0) + matrix.sum(1) - correct)


def draw_confusion(matrix: Tensor, names: Sequence[str], *, note: str) -> Tensor:
    """Draws the matrix in percent of each target class, and the IoU of each class as bars.

    Args:
        matrix: from ``confusion_matrix``.
        names: of the K classes.
        note: second line.

    Returns:
        uint8 ``(3, HEIGHT, WIDTH)``.
    """
    shares = matrix / matrix.sum(1, keepdim=True).clamp_min(1)
    iou = iou_of(matrix)
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, layout="constrained")
    mean, accuracy = iou.nanmean().item(), (matrix.diagonal().sum() / matrix.sum().clamp_min(1)).item()
    figure.suptitle(f"confusion matrix: mean IoU {mean:.4f}, accuracy {accuracy:.4f}\n{note}", fontsize=14)
    cells, bars = figure.subplots(1, 2, width_ratios=(2.6, 1))
    places = range(len(names))
    cells.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    cells.set_xticks(places, names, rotation=60, ha="right", fontsize=11)
    cells.set_yticks(places, names, fontsize=11)
    cells.set_xlabel("predicted", fontsize=12)
    cells.set_ylabel("target", fontsize=12)
    for row in places if len(names) <= _MANY else ():
        for column in places:
            share = shares[row, column].item()
            if share >= 0.005:
                color = "white" if share > 0.6 else "black"
                cells.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=9, color=color)
    bars.barh(
        places, iou.nan_to_num(nan=0.0).numpy(), color=[tuple(c / 255 for c in rgb) for rgb in palette(len(names))]
    )
    bars.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), yticks=[])
    bars.set_xlabel("IoU", fontsize=12)
    for row, value in enumerate(iou.tolist()):
        text = "not present" if value != value else f"{value:.3f}"
        bars.text(0.02, row, text, va="center", fontsize=11)
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba")
    image = np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(HEIGHT, WIDTH, 4)[..., :3]
    return torch.from_numpy(image.copy()).permute(2, 0, 1)
