"""Masks and marks on photographs: tensors in, uint8 RGB pictures out. Nothing here knows a trainer or a logger.

Class maps are int64 ``(H, W)``; pictures are ``(3, H, W)``, float32 in [0, 1] going in and uint8 coming out.
"""

from collections.abc import Sequence
from itertools import cycle, islice

import torch
from torch import Tensor
from torch.nn import functional as F

Colour = tuple[int, int, int]

# Okabe and Ito's colours, told apart by colour-blind people too; the first is the one that stands out on a car.
PALETTE: tuple[Colour, ...] = (
    (0, 200, 160),
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (120, 120, 120),
    (150, 75, 160),
    (120, 200, 60),
    (150, 110, 70),
    (250, 190, 190),
)
MISSED: Colour = (255, 80, 40)
EXTRA: Colour = (30, 120, 255)
WRONG: Colour = (255, 40, 90)


def palette(classes: int) -> list[Colour]:
    """Colours of class numbers 0, 1, ...; they repeat after twelve."""
    return list(islice(cycle(PALETTE), classes))


def show(image: Tensor, side: int) -> Tensor:
    """Scales a float picture ``(3, H, W)`` to a uint8 square of ``side``."""
    scaled = F.interpolate(image[None].float(), size=(side, side), mode="bilinear", antialias=True)[0]
    return (scaled.clamp(0, 1) * 255).round().to(torch.uint8)


def show_classes(classes: Tensor, side: int) -> Tensor:
    """Scales a class map ``(H, W)`` to a square of ``side``: every value stays one that was there."""
    return F.interpolate(classes[None, None].float(), size=(side, side), mode="nearest-exact")[0, 0].long()


def show_any(mask: Tensor, side: int) -> Tensor:
    """Scales a bool mask ``(H, W)`` to a square of ``side`` so that no single true pixel gets lost in shrinking."""
    if mask.shape[-1] > side:
        return F.adaptive_max_pool2d(mask[None].float(), side)[0] > 0
    return show_classes(mask, side) > 0


def contour(mask: Tensor, width: int = 2) -> Tensor:
    """Finds the rim of a bool mask ``(H, W)``: its own pixels within ``width`` of the outside.

    The picture's border is not an outside.

    >>> contour(torch.tensor([[0, 1, 1, 1]]).bool(), 1).int().tolist()
    [[0, 1, 0, 0]]
    """
    outside = (~mask)[None].float()
    return mask & (F.max_pool2d(outside, 2 * width + 1, stride=1, padding=width)[0] > 0)


def blend(picture: Tensor, mask: Tensor, colour: Colour, alpha: float) -> Tensor:
    """Lays ``colour`` over the pixels of ``mask`` (bool) with opacity ``alpha``; the picture given stays as it is."""
    ink = torch.tensor(colour, dtype=torch.float32).view(3, 1, 1)
    mixed = picture.float() * (1 - alpha) + ink * alpha
    return torch.where(mask, mixed.round().to(torch.uint8), picture)


def paint(picture: Tensor, mask: Tensor, colour: Colour, *, alpha: float = 0.4) -> Tensor:
    """Draws a mask over a photograph: translucent inside, a firm line at its rim.

    Args:
        picture: uint8 ``(3, H, W)``.
        mask: bool ``(H, W)``.
        colour: of the mask.
        alpha: opacity inside.

    Returns:
        uint8 ``(3, H, W)``.
    """
    return blend(blend(picture, mask, colour, alpha), contour(mask), colour, 1.0)


def paint_classes(picture: Tensor, classes: Tensor, colours: Sequence[Colour]) -> Tensor:
    """Draws a class map over a photograph; numbers without a colour (ignored pixels) stay bare.

    Args:
        picture: uint8 ``(3, H, W)``.
        classes: int64 ``(H, W)``.
        colours: of the class numbers 0, 1, ...

    Returns:
        uint8 ``(3, H, W)``.
    """
    for number, colour in enumerate(colours):
        picture = paint(picture, classes == number, colour, alpha=0.55)
    return picture


def faded(picture: Tensor) -> Tensor:
    """Turns a uint8 picture ``(3, H, W)`` into a pale grey one, as a ground for marks."""
    grey = picture.float().mean(0, keepdim=True).expand(3, -1, -1)
    return (grey * 0.6 + 90).clamp(0, 255).to(torch.uint8)
