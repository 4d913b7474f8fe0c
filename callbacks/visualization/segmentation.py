"""The figures of segmentation: masks over images, where they are wrong, precision against recall."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from callbacks.visualization.figures import Figures, Kept
from callbacks.visualization.image_grid import LARGE, SMALL, Key, Panel, comparison, grid
from callbacks.visualization.masks import (
    EXTRA,
    MISSED,
    PALETTE,
    WRONG,
    blend,
    faded,
    paint,
    paint_classes,
    palette,
    show,
    show_any,
    show_classes,
)
from callbacks.visualization.precision_recall import draw_precision_recall, precision_recall
from models.gather import gather_objects
from models.losses.segmentation import IGNORE


class SegmentFigures(Figures):
    """Shows input, target, prediction and difference, a training batch with its masks, and precision-recall curves.

    Args:
        fixed: how many validation images are shown every time.
        worst: how many of the epoch's worst are shown, by Dice (one class) or accuracy (several).
        pixels: how many pixels of each image the precision-recall curve looks at. All of them would cost seconds a
            batch, and neighbours say nearly the same.
        folder: where the latest of every figure is also saved; ``None`` is ``images`` in the run's folder.
    """

    def __init__(self, *, fixed: int = 4, worst: int = 2, pixels: int = 1000, folder: Path | None = None) -> None:
        super().__init__(fixed=fixed, worst=worst, folder=folder)
        self.pixels = pixels
        self._classes: Sequence[str] = ()
        self._threshold = 0.5
        self._probs: list[Tensor] = []
        self._truth: list[Tensor] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Learns the names of the classes from the module."""
        self._classes = tuple(getattr(pl_module, "classes", ()))
        self._threshold = float(getattr(pl_module, "threshold", 0.5))
        if not self._classes:
            raise TypeError(f"{type(pl_module).__name__} has no classes: SegmentFigures is for segmentation")

    def draw_image(self, kept: Kept, note: str) -> Tensor:
        """Draws input, target, prediction and difference of one image."""
        title = f"{kept.name}: {'Dice' if len(self._classes) == 1 else 'accuracy'} {kept.score:.3f}"
        image, mask, probs = kept.item["image"], kept.item["mask"], kept.output["probs"]
        if len(self._classes) == 1:
            target, preds = mask >= 0.5, probs[0] >= self._threshold
            return car_sheet(image, target, preds, title=title, note=note, name=self._classes[0])
        return class_sheet(image, mask, probs.argmax(0), title=title, note=note, names=self._classes)

    def draw_batch(self, batch: Mapping[str, Any], note: str) -> Tensor:
        """Draws up to eight images of a training batch with their masks over them."""
        return batch_sheet(batch["image"][:8], batch["mask"][:8], note=note, names=self._classes)

    def begin(self) -> None:
        """Forgets images and pixels."""
        super().begin()
        self._probs, self._truth = [], []

    def observe(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Keeps images to draw and a sample of pixels, the same places every time."""
        super().observe(batch, output)
        probs, mask = output["probs"], batch["mask"]
        places = torch.randperm(mask[0].numel(), generator=torch.Generator().manual_seed(0))[: self.pixels]
        places = places.to(mask.device)
        self._probs.append(probs.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1).cpu())
        self._truth.append(mask.flatten(1)[:, places].flatten().cpu())

    def figures(self, note: str) -> dict[str, Tensor]:
        """Adds the precision-recall curve."""
        drawn = super().figures(note)
        shares = gather_objects((self._probs, self._truth))
        probs, truth = ([part for share in shares for part in share[which]] for which in (0, 1))
        if probs:
            curves = precision_recall(torch.cat(probs), torch.cat(truth), self._classes)
            drawn["precision_recall"] = draw_precision_recall(curves, self._threshold, note=note)
        return drawn


def car_sheet(image: Tensor, target: Tensor, preds: Tensor, *, title: str, note: str, name: str) -> Tensor:
    """Draws one image with the mask of one class.

    Args:
        image: ``(3, S, S)`` float32 in [0, 1].
        target: bool ``(S, S)``.
        preds: bool ``(S, S)``.
        title: first line.
        note: second line.
        name: of the class.

    Returns:
        uint8 ``(3, H, W)``: image, target and prediction small, the difference large.
    """
    shown, ground = show(image, SMALL), faded(show(image, LARGE))
    small = [
        Panel("image", shown),
        Panel("target", paint(shown, show_classes(target, SMALL) > 0, PALETTE[0])),
        Panel("prediction", paint(shown, show_classes(preds, SMALL) > 0, PALETTE[0])),
    ]
    wrong = blend(ground, show_classes(target & preds, LARGE) > 0, PALETTE[0], 0.25)
    wrong = blend(wrong, show_any(target & ~preds, LARGE), MISSED, 1.0)
    wrong = blend(wrong, show_any(preds & ~target, LARGE), EXTRA, 1.0)
    legend = [Key(name, PALETTE[0]), Key("missed", MISSED), Key("too much", EXTRA)]
    return comparison(small, Panel("difference", wrong), title=title, note=note, legend=legend)


def class_sheet(image: Tensor, target: Tensor, preds: Tensor, *, title: str, note: str, names: Sequence[str]) -> Tensor:
    """Draws one image with a map of several classes.

    Args:
        image: ``(3, S, S)`` float32 in [0, 1].
        target: int64 ``(S, S)``, 255 where ignored.
        preds: int64 ``(S, S)``.
        title: first line.
        note: second line.
        names: of the classes.

    Returns:
        uint8 ``(3, H, W)``: image, target and prediction small, the difference large.
    """
    shown, colors = show(image, SMALL), palette(len(names))
    small = [
        Panel("image", shown),
        Panel("target", paint_classes(shown, show_classes(target, SMALL), colors)),
        Panel("prediction", paint_classes(shown, show_classes(preds, SMALL), colors)),
    ]
    wrong = blend(faded(show(image, LARGE)), show_any((preds != target) & (target != IGNORE), LARGE), WRONG, 0.8)
    legend = [Key("wrong", WRONG), *(Key(name, color) for name, color in zip(names, colors, strict=True))]
    return comparison(small, Panel("difference", wrong), title=title, note=note, legend=legend)


def batch_sheet(images: Tensor, masks: Tensor, *, note: str, names: Sequence[str]) -> Tensor:
    """Draws training images as they come, augmented, with their masks over them.

    Args:
        images: ``(N, 3, S, S)`` float32 in [0, 1], at most eight.
        masks: one class: ``(N, S, S)`` float32 shares; several: int64 class numbers.
        note: second line.
        names: of the classes.

    Returns:
        uint8 ``(3, H, W)``: four images a row.
    """
    colors, panels = palette(len(names)), []
    for image, mask in zip(images, masks, strict=True):
        shown = show(image, SMALL)
        if len(names) == 1:
            painted = paint(shown, show_classes(mask >= 0.5, SMALL) > 0, colors[0])
        else:
            painted = paint_classes(shown, show_classes(mask, SMALL), colors)
        panels.append(Panel("", painted))
    legend = [Key(name, color) for name, color in zip(names, colors, strict=True)]
    return grid(panels, title="training images and masks", note=note, legend=legend)
