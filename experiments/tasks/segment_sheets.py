"""Sheets of segmented images for ``show``: what was found, and where it is wrong."""

from collections.abc import Sequence

from torch import Tensor

from callbacks.visualization.figures import Kept
from callbacks.visualization.image_grid import SMALL, Key, Panel, grid
from callbacks.visualization.masks import (
    EXTRA,
    MISSED,
    PALETTE,
    WRONG,
    blend,
    paint,
    paint_classes,
    palette,
    show,
    show_any,
    show_classes,
)
from models.losses.segmentation import IGNORE


def scored_sheet(images: Sequence[Kept], *, title: str, note: str, names: Sequence[str], threshold: float) -> Tensor:
    """Draws predictions over images, wrong pixels in colors of their own, each with its score.

    Args:
        images: in the order they are shown; at least one.
        title: first line.
        note: second line.
        names: of the classes.
        threshold: probability from which a pixel counts as the one class.

    Returns:
        uint8 ``(3, H, W)``.
    """
    one = len(names) == 1
    drawn = [_one_class(kept, threshold) if one else _classes(kept, len(names)) for kept in images]
    labels = [f"{kept.score:.4f}" for kept in images]  # names are too long to stand here
    panels = [Panel(label, image) for label, image in zip(labels, drawn, strict=True)]
    marks = [Key("missed", MISSED), Key("too much", EXTRA)] if one else [Key("wrong", WRONG)]
    legend = [*(Key(name, color) for name, color in zip(names, palette(len(names)), strict=True)), *marks]
    return grid(panels, title=title, note=note, legend=legend)


def _one_class(kept: Kept, threshold: float) -> Tensor:
    target, found = kept.item["mask"] >= 0.5, kept.output["probs"][0] >= threshold
    drawn = paint(show(kept.item["image"], SMALL), show_classes(found, SMALL) > 0, PALETTE[0])
    drawn = blend(drawn, show_any(target & ~found, SMALL), MISSED, 1.0)
    return blend(drawn, show_any(found & ~target, SMALL), EXTRA, 1.0)


def _classes(kept: Kept, classes: int) -> Tensor:
    target, found = kept.item["mask"], kept.output["probs"].argmax(0)
    drawn = paint_classes(show(kept.item["image"], SMALL), show_classes(found, SMALL), palette(classes))
    return blend(drawn, show_any((found != target) & (target != IGNORE), SMALL), WRONG, 0.8)
