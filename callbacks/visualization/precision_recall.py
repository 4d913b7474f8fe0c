"""Precision against recall: the numbers, and an image of them."""

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.visualization.masks import palette
from models.losses.segmentation import IGNORE

THRESHOLDS = 201  # every half per cent


class Curve(NamedTuple):
    """Precision and recall of one class at evenly spaced thresholds from 0 to 1."""

    name: str
    precision: Tensor  # (THRESHOLDS,); nan where nothing is found
    recall: Tensor  # (THRESHOLDS,)


def precision_recall(probs: Tensor, truth: Tensor, names: Sequence[str]) -> list[Curve]:
    """Measures every class against all others.

    Args:
        probs: ``(P, C)`` probabilities of pixels.
        truth: one class: ``(P,)`` share of foreground, foreground from 0.5; several: class numbers, 255 is left out.
        names: of the C classes.

    Returns:
        One curve per class that occurs.
    """
    curves, thresholds = [], torch.linspace(0, 1, THRESHOLDS)
    if len(names) > 1:
        probs, truth = probs[truth != IGNORE], truth[truth != IGNORE]
    for number, name in enumerate(names):
        hits = (truth >= 0.5) if len(names) == 1 else truth == number
        if not hits.any():
            continue
        # By sorting: torchmetrics' binned curve builds a table of pixels times thresholds, gigabytes of it, where
        # deterministic algorithms are asked for.
        right = _reaching(probs[hits, number], thresholds)
        found = right + _reaching(probs[~hits, number], thresholds)
        curves.append(Curve(name, right / found, right / hits.sum()))
    return curves


def draw_precision_recall(curves: Sequence[Curve], threshold: float, *, note: str) -> Tensor:
    """Draws curves whole and, beside it, the corner where good ones end up.

    Args:
        curves: what to draw.
        threshold: probability that is marked by a dot.
        note: where the run stands.

    Returns:
        uint8 ``(3, 360, 640)``.
    """
    figure = Figure(figsize=(6.4, 3.6), dpi=100, layout="constrained")
    figure.suptitle(f"precision over recall of validation pixels\n{note}", fontsize=14)
    dot = round(threshold * (THRESHOLDS - 1))
    for axes, low in zip(figure.subplots(1, 2), (0.0, 0.9), strict=True):
        for curve, color in zip(curves, palette(len(curves)), strict=True):
            ink = tuple(channel / 255 for channel in color)
            axes.plot(curve.recall, curve.precision, color=ink, linewidth=2.5, label=curve.name)
            axes.plot(curve.recall[dot], curve.precision[dot], "o", color=ink, markersize=9, markeredgecolor="black")
        margin = (1 - low) * 0.03
        axes.set(xlim=(low, 1 + margin), ylim=(low, 1 + margin))
        axes.set_xlabel("recall", fontsize=15)
        axes.tick_params(labelsize=13)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("precision", fontsize=15)
    if curves:
        size = 13 if len(curves) < 4 else 7
        figure.axes[0].legend(loc="lower left", fontsize=size, title=f"dot: at {threshold:g}", title_fontsize=size)
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba")
    image = np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(360, 640, 4)[..., :3]
    return torch.from_numpy(image.copy()).permute(2, 0, 1)


def _reaching(probs: Tensor, thresholds: Tensor) -> Tensor:
    """Counts the probabilities that reach each threshold."""
    return len(probs) - torch.searchsorted(probs.sort().values, thresholds)
