"""The figures of style: image, painting and result side by side, and the painting as the loss sees it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from lightning import LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from callbacks.visualization.figures import Figures, Kept
from callbacks.visualization.image_grid import LARGE, SMALL, WIDTH, Panel, comparison, grid, single
from callbacks.visualization.masks import show
from callbacks.visualization.super_resolution import squares
from lightning_modules.typed_trainer import typed

#: Side of the corner of a result that is shown enlarged: borders and checkerboards are seen there first.
CORNER = SMALL // 4


class StyleData(Protocol):
    """Data that bring a painting along."""

    def style(self) -> Tensor:
        """The painting, (3, h, w) float32 in [0, 1]."""
        ...


class StyleFigures(Figures):
    """Shows the painting once, then images beside what the network makes of them, and a training batch.

    Results that were learned from random features are labelled so.

    Args:
        fixed: how many validation images are shown every time.
        worst: how many of the epoch's worst are shown, by the combined loss.
    """

    more_is_worse = True
    _painting = torch.zeros(3, 1, 1)
    _random = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the painting."""
        if trainer.is_global_zero:
            self._show(trainer, {"painting": painting_sheet(_painting(trainer))})

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts anew, knowing by now what the loss looks with."""
        super().on_validation_epoch_start(trainer, pl_module)
        self._painting = _painting(trainer)
        self._random = features_are_random(pl_module)

    def draw_image(self, kept: Kept, note: str) -> Tensor:
        """Draws image, painting and result of one image."""
        title = f"{kept.name}: loss {kept.score:.4g}"
        return style_sheet(
            kept.item["content"], self._painting, kept.output["preds"], title=title, note=note, random=self._random
        )

    def draw_batch(self, batch: Mapping[str, Any], note: str) -> Tensor:
        """Draws up to eight patches of a training batch."""
        return content_sheet(batch["content"][:8], note=note)


def features_are_random(module: LightningModule) -> bool:
    """Whether a module's loss looks with random features; known once the loss is loaded."""
    return bool(getattr(getattr(module, "loss", None), "random", False))


def style_sheet(content: Tensor, painting: Tensor, preds: Tensor, *, title: str, note: str, random: bool) -> Tensor:
    """Draws one image repainted.

    Args:
        content: ``(3, S, S)`` float32 in [0, 1].
        painting: ``(3, h, w)``; as large a part of it as the image is shown at the same scale.
        preds: the same shape as ``content``.
        title: first line.
        note: second line.
        random: whether the loss looked with random features.

    Returns:
        uint8 ``(3, H, W)``: image, painting and an enlarged corner of the result small, the result large.
    """
    side = content.shape[-1]
    small = [
        Panel("image", show(content, SMALL)),
        Panel("painting", _at_scale(painting, side)),
        Panel("its corner", squares(preds[:, :CORNER, :CORNER])),
    ]
    return comparison(small, Panel(_result(random), show(preds, LARGE)), title=title, note=note, legend=[])


def scored_sheet(images: Sequence[Kept], *, title: str, note: str, random: bool) -> Tensor:
    """Draws validated images, each beside its result with its loss, two of them in a row.

    Args:
        images: in the order they are shown; at least one.
        title: first line.
        note: second line.
        random: whether the loss looked with random features.

    Returns:
        uint8 ``(3, H, W)``.
    """
    panels = []
    for kept in images:
        panels.append(Panel("image", show(kept.item["content"], SMALL)))
        panels.append(Panel(f"loss {kept.score:.4g}", show(kept.output["preds"], SMALL)))
    return grid(panels, title=title, note=f"{_result(random)}; {note}" if random else note, legend=[])


def content_sheet(images: Tensor, *, note: str) -> Tensor:
    """Draws training patches as they come.

    Args:
        images: ``(N, 3, S, S)`` float32 in [0, 1].
        note: second line.

    Returns:
        uint8 ``(3, H, W)``: four a row.
    """
    panels = [Panel("", show(image, SMALL)) for image in images]
    return grid(panels, title="training images", note=note, legend=[])


def painting_sheet(painting: Tensor) -> Tensor:
    """Draws the painting with the pixels that the loss sees, enlarged by a whole number where there is room.

    Args:
        painting: ``(3, h, w)`` float32 in [0, 1].

    Returns:
        uint8 ``(3, H, W)``.
    """
    height, width = painting.shape[1:]
    longer = max(height, width)
    if longer > WIDTH:
        size = [max(1, round(side * WIDTH / longer)) for side in (height, width)]
        fitted = F.interpolate(painting[None], size=size, mode="bilinear", antialias=True)[0]
    else:
        fitted = painting.repeat_interleave(WIDTH // longer, 1).repeat_interleave(WIDTH // longer, 2)
    pixels = (fitted.clamp(0, 1) * 255).round().byte()
    return single(pixels, title="the painting", note=f"as the loss sees it, {width} x {height} px")


def _result(random: bool) -> str:
    return "result, random features" if random else "result"


def _at_scale(painting: Tensor, side: int) -> Tensor:
    """Shows the middle ``side`` pixels of a painting as large as an image of that side; less of a smaller one."""
    side = min(side, *painting.shape[1:])
    top, left = ((length - side) // 2 for length in painting.shape[1:])
    return show(painting[:, top : top + side, left : left + side], SMALL)


def _painting(trainer: Trainer) -> Tensor:
    data: StyleData = typed(trainer).datamodule
    return data.style()
