"""Figures of segmentation: masks over images, wrong pixels, precision-recall curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.image_grid import LARGE, SMALL, LegendEntry, Panel, draw_comparison, draw_grid
from callbacks.visualization.masks import (
    EXTRA,
    MISSED,
    WRONG,
    Color,
    draw_classes,
    draw_mask,
    overlay_color,
    pale_gray,
    palette,
    resize_any,
    resize_classes,
    resize_image,
)
from callbacks.visualization.precision_recall import draw_precision_recall, precision_recall
from callbacks.visualization.task_figures import Figures
from models.losses.mask_target import IGNORE, hard_target


class SegmentationFigures(Figures):
    """Draws image, target, prediction and wrong pixels, training batches, and precision-recall curves.

    Args:
        classes: names of the classes.
        threshold: probability from which a pixel counts as the one class.
        pixels: number of pixels of each validation image in the precision-recall curve. All of them would take
            seconds a batch, and neighboring pixels are similar.
    """

    def __init__(self, *, classes: Sequence[str], threshold: float = 0.5, pixels: int = 1000) -> None:
        self.classes, self.threshold, self.pixels = tuple(classes), threshold, pixels
        self._binary = len(self.classes) == 1
        self._colors = palette(len(self.classes))
        self._legend = [LegendEntry(name, color) for name, color in zip(self.classes, self._colors, strict=True)]

    def score_text(self, score: float) -> str:
        """Formats the Dice of one class or the accuracy of several."""
        return f"{'Dice' if self._binary else 'accuracy'} {score:.4f}"

    def draw_batch(self, batch: Mapping[str, Any], *, count: int, note: str) -> Tensor:
        """Draws augmented images with their masks over them.

        Args:
            batch: a ``SegmentBatch``.
            count: maximum number of images.
            note: second line.
        """
        panels = [
            Panel("", self._overlay(image, hard_target(mask, classes=len(self.classes))))
            for image, mask in zip(batch["image"][:count], batch["mask"][:count], strict=True)
        ]
        return draw_grid(panels, title="training images and masks", note=note, legend=self._legend)

    def draw_sample(self, sample: Sample, *, note: str) -> Tensor:
        """Draws image, target and prediction small, and the wrong pixels large."""
        image, target, preds = sample.inputs["image"], *self._maps(sample)
        small = [
            Panel("image", resize_image(image, SMALL)),
            Panel("target", self._overlay(image, target)),
            Panel("prediction", self._overlay(image, preds)),
        ]
        large = pale_gray(resize_image(image, LARGE))
        if self._binary:
            large = overlay_color(large, resize_classes((target == 1) & preds, LARGE) > 0, self._colors[0], 0.25)
        large = self._mark_wrong(large, target, preds)
        title = f"{sample.name}: {self.score_text(sample.score)}"
        return draw_comparison(small, Panel("wrong pixels", large), title=title, note=note, legend=self._full_legend)

    def draw_scored(self, samples: Sequence[Sample], *, title: str, note: str) -> Tensor:
        """Draws predictions over images with wrong pixels marked, four in a row."""
        panels = []
        for sample in samples:
            target, preds = self._maps(sample)
            drawn = self._mark_wrong(self._overlay(sample.inputs["image"], preds), target, preds)
            panels.append(Panel(f"{sample.score:.4f}", drawn))  # the name is too long for a panel
        return draw_grid(panels, title=title, note=note, legend=self._full_legend)

    def summarize(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Returns probabilities and targets at the same random places of every image."""
        probs, mask = output["probs"], batch["mask"]
        places = torch.randperm(mask[0].numel(), generator=torch.Generator().manual_seed(0))[: self.pixels]
        places = places.to(mask.device)
        sampled = probs.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)
        return sampled.cpu(), mask.flatten(1)[:, places].flatten().cpu()

    def draw_summary(self, summaries: Sequence[tuple[Tensor, Tensor]], *, note: str) -> dict[str, Tensor]:
        """Draws the precision-recall curves of the sampled pixels."""
        probs, target = (torch.cat(parts) for parts in zip(*summaries, strict=True))
        curves = precision_recall(probs, target, self.classes)
        return {"precision_recall": draw_precision_recall(curves, self.threshold, note=note)}

    @property
    def _full_legend(self) -> list[LegendEntry]:
        if self._binary:
            return [*self._legend, LegendEntry("missed", MISSED), LegendEntry("too much", EXTRA)]
        return [LegendEntry("wrong", WRONG), *self._legend]

    def _maps(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Returns target ``(S, S)`` with 255 for ignored pixels, and prediction, bool for one class."""
        target, probs = hard_target(sample.inputs["mask"], classes=len(self.classes)), sample.outputs["probs"]
        return target, probs[0] >= self.threshold if self._binary else probs.argmax(0)

    def _overlay(self, image: Tensor, classes: Tensor) -> Tensor:
        shown, resized = resize_image(image, SMALL), resize_classes(classes, SMALL)
        return (
            draw_mask(shown, resized == 1, self._colors[0])
            if self._binary
            else draw_classes(shown, resized, self._colors)
        )

    def _mark_wrong(self, drawn: Tensor, target: Tensor, preds: Tensor) -> Tensor:
        side = drawn.shape[-1]
        marks: list[tuple[Tensor, Color, float]] = [((preds != target) & (target != IGNORE), WRONG, 0.8)]
        if self._binary:
            marks = [((target == 1) & ~preds, MISSED, 1.0), ((target == 0) & preds, EXTRA, 1.0)]
        for mask, color, alpha in marks:
            drawn = overlay_color(drawn, resize_any(mask, side), color, alpha)
        return drawn
