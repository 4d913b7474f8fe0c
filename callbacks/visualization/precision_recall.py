"""Precision-recall curves of a segmentation: the values, and a figure of them."""

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.visualization.masks import palette
from models.losses.mask_target import IGNORE

THRESHOLDS = 201  # steps of 0.005


class Curve(NamedTuple):
    """Precision and recall of one class at evenly spaced thresholds from 0 to 1."""

    name: str
    precision: Tensor  # (THRESHOLDS,); NaN where no pixel reaches the threshold
    recall: Tensor  # (THRESHOLDS,)


def precision_recall(probs: Tensor, target: Tensor, names: Sequence[str]) -> list[Curve]:
    """Computes the one-versus-rest curve of every class.

    Args:
        probs: ``(P, C)`` probabilities of pixels.
        target: one class: ``(P,)`` fraction of foreground, foreground from 0.5; several: ``(P,)`` class numbers;
            255 is ignored.
        names: of the C classes.

    Returns:
        One curve for each class that occurs in ``target``.
    """
    curves, thresholds = [], torch.linspace(0, 1, THRESHOLDS)
    probs, target = probs[target != IGNORE], target[target != IGNORE]
    for number, name in enumerate(names):
        positive = (target >= 0.5) if len(names) == 1 else target == number
        if not positive.any():
            continue
        # By sorting: with deterministic algorithms, torchmetrics' binned curve allocates a table of pixels times
        # thresholds, which takes gigabytes.
        true_positives = _count_reaching(probs[positive, number], thresholds)
        predicted = true_positives + _count_reaching(probs[~positive, number], thresholds)
        curves.append(Curve(name, true_positives / predicted, true_positives / positive.sum()))
    return curves


def draw_precision_recall(curves: Sequence[Curve], threshold: float, *, note: str) -> Tensor:
    """Draws the curves twice: whole, and enlarged from 0.9 to 1.

    Args:
        curves: curves to draw.
        threshold: probability that is marked by a dot.
        note: second line.

    Returns:
        uint8 ``(3, 360, 640)``.
    """
    figure = Figure(figsize=(6.4, 3.6), dpi=100, layout="constrained")
    figure.suptitle(f"precision and recall of validation pixels\n{note}", fontsize=14)
    dot = round(threshold * (THRESHOLDS - 1))
    for axes, low in zip(figure.subplots(1, 2), (0.0, 0.9), strict=True):
        for curve, rgb in zip(curves, palette(len(curves)), strict=True):
            color = tuple(channel / 255 for channel in rgb)
            axes.plot(curve.recall, curve.precision, color=color, linewidth=2.5, label=curve.name)
            axes.plot(curve.recall[dot], curve.precision[dot], "o", color=color, markersize=9, markeredgecolor="black")
        margin = (1 - low) * 0.03
        axes.set(xlim=(low, 1 + margin), ylim=(low, 1 + margin))
        axes.set_xlabel("recall", fontsize=15)
        axes.tick_params(labelsize=13)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("precision", fontsize=15)
    if curves:
        size, title = (13 if len(curves) < 4 else 7), f"dot: threshold {threshold:g}"
        figure.axes[0].legend(loc="lower left", fontsize=size, title=title, title_fontsize=size)
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba")
    image = np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(360, 640, 4)[..., :3]
    return torch.from_numpy(image.copy()).permute(2, 0, 1)


def _count_reaching(probs: Tensor, thresholds: Tensor) -> Tensor:
    """Counts the probabilities that reach each threshold."""
    return len(probs) - torch.searchsorted(probs.sort().values, thresholds)
