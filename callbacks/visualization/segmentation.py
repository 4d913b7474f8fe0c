"""Figures of segmentation: masks over images, wrong pixels, precision-recall curves, confusion of classes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.confusion import confusion_matrix, draw_confusion
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
from models.segmentation.tiles import unit_floats


class Summary(NamedTuple):
    """What the figures of a whole validation need of one batch, on the CPU."""

    probs: Tensor  # (P, C), of sampled pixels
    target: Tensor  # (P,), of the same pixels
    confusion: Tensor | None  # (C, C) counts of all pixels, for several classes


class SegmentationFigures(Figures):
    """Draws image, target, prediction and wrong pixels, training batches, precision and recall, and confusion.

    Args:
        classes: names of the classes.
        threshold: probability from which a pixel counts as the one class.
        pixels: number of pixels of each validation image in the precision-recall curve. All of them would take
            seconds a batch, and neighboring pixels are similar.
        channels: of images that are not RGB, the three that are shown; ``None`` for RGB images.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str],
        threshold: float = 0.5,
        pixels: int = 1000,
        channels: tuple[int, ...] | None = None,
    ) -> None:
        self.channels = channels
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
        image, target, preds = self._rgb(unit_floats(sample.inputs["image"])), *self._maps(sample)
        small = [
            Panel("image", resize_image(image, SMALL)),
            Panel("target", self._drawn(image, target)),
            Panel("prediction", self._drawn(image, preds)),
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
            drawn = self._mark_wrong(self._overlay(unit_floats(sample.inputs["image"]), preds), target, preds)
            panels.append(Panel(f"{sample.score:.4f}", drawn))  # the name is too long for a panel
        return draw_grid(panels, title=title, note=note, legend=self._full_legend)

    def summarize(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> Summary:
        """Returns probabilities and targets at the same random places of every image, and counts of all pixels."""
        probs = output["probs"]
        mask = _sample_at(batch["mask"], probs.shape[-2:])
        places = torch.randperm(mask[0].numel(), generator=torch.Generator().manual_seed(0))[: self.pixels]
        places = places.to(mask.device)
        sampled = probs.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)
        confusion = None if self._binary else confusion_matrix(probs.argmax(1), mask, classes=len(self.classes))
        return Summary(sampled.cpu(), mask.flatten(1)[:, places].flatten().cpu(), confusion)

    def draw_summary(self, summaries: Sequence[Summary], *, note: str) -> dict[str, Tensor]:
        """Draws the precision-recall curves of the sampled pixels; for several classes also the confusion matrix."""
        probs = torch.cat([summary.probs for summary in summaries])
        target = torch.cat([summary.target for summary in summaries])
        curves = precision_recall(probs, target, self.classes)
        drawn = {"precision_recall": draw_precision_recall(curves, self.threshold, note=note)}
        if matrices := [summary.confusion for summary in summaries if summary.confusion is not None]:
            total = torch.stack(matrices).sum(0)
            drawn["confusion_matrix"] = draw_confusion(total, self.classes, note=note)
        return drawn

    @property
    def _full_legend(self) -> list[LegendEntry]:
        if self._binary:
            return [*self._legend, LegendEntry("missed", MISSED), LegendEntry("too much", EXTRA)]
        return [LegendEntry("wrong", WRONG), *self._legend]

    def _maps(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Returns target ``(S, S)`` with 255 for ignored pixels, and prediction, bool for one class."""
        probs = sample.outputs["probs"]
        target = hard_target(_sample_at(sample.inputs["mask"], probs.shape[-2:]), classes=len(self.classes))
        return target, probs[0] >= self.threshold if self._binary else probs.argmax(0)

    def _rgb(self, image: Tensor) -> Tensor:
        """The shown channels of an image, each stretched from its 2nd to its 98th percentile."""
        if self.channels is None:
            return image
        chosen = image[list(self.channels)].float()
        marks = torch.quantile(chosen.flatten(1)[:, :: 1 + chosen[0].numel() // 100_000], torch.tensor([0.02, 0.98]), 1)
        low, high = marks[0].view(3, 1, 1), marks[1].view(3, 1, 1)
        return ((chosen - low) / (high - low).clamp_min(1e-4)).clamp(0, 1)

    def _overlay(self, image: Tensor, classes: Tensor) -> Tensor:
        return self._drawn(self._rgb(image), classes)

    def _drawn(self, image: Tensor, classes: Tensor) -> Tensor:
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


def _sample_at(mask: Tensor, size: Sequence[int]) -> Tensor:
    """The pixels of a mask ``(..., H, W)`` at the places of smaller probabilities, which a large image has."""
    if mask.shape[-2:] == tuple(size):
        return mask
    rows, columns = ((torch.arange(n) + 0.5) * length / n for n, length in zip(size, mask.shape[-2:], strict=True))
    return mask[..., rows.long().to(mask.device)[:, None], columns.long().to(mask.device)]
