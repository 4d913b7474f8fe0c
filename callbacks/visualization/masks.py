"""Masks and marks on images: tensors in, uint8 RGB images out. Nothing here knows a trainer or a logger.

Class maps are int64 ``(H, W)``; images are ``(3, H, W)``, float32 in [0, 1] going in and uint8 coming out.
"""

from collections.abc import Sequence
from itertools import cycle, islice

import torch
from torch import Tensor
from torch.nn import functional as F

Color = tuple[int, int, int]

# Okabe and Ito's colors, told apart by color-blind people too; the first is the one that stands out on a car.
PALETTE: tuple[Color, ...] = (
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
MISSED: Color = (255, 80, 40)
EXTRA: Color = (30, 120, 255)
WRONG: Color = (255, 40, 90)


def palette(classes: int) -> list[Color]:
    """Colors of class numbers 0, 1, ...; they repeat after twelve."""
    return list(islice(cycle(PALETTE), classes))


def show(image: Tensor, side: int) -> Tensor:
    """Scales a float image ``(3, H, W)`` to a uint8 square of ``side``."""
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

    The image's border is not an outside.

    >>> contour(torch.tensor([[0, 1, 1, 1]]).bool(), 1).int().tolist()
    [[0, 1, 0, 0]]
    """
    outside = (~mask)[None].float()
    return mask & (F.max_pool2d(outside, 2 * width + 1, stride=1, padding=width)[0] > 0)


def blend(image: Tensor, mask: Tensor, color: Color, alpha: float) -> Tensor:
    """Lays ``color`` over the pixels of ``mask`` (bool) with opacity ``alpha``; the image given stays as it is."""
    ink = torch.tensor(color, dtype=torch.float32).view(3, 1, 1)
    mixed = image.float() * (1 - alpha) + ink * alpha
    return torch.where(mask, mixed.round().to(torch.uint8), image)


def paint(image: Tensor, mask: Tensor, color: Color, *, alpha: float = 0.4) -> Tensor:
    """Draws a mask over an image: translucent inside, a firm line at its rim.

    Args:
        image: uint8 ``(3, H, W)``.
        mask: bool ``(H, W)``.
        color: of the mask.
        alpha: opacity inside.

    Returns:
        uint8 ``(3, H, W)``.
    """
    return blend(blend(image, mask, color, alpha), contour(mask), color, 1.0)


def paint_classes(image: Tensor, classes: Tensor, colors: Sequence[Color]) -> Tensor:
    """Draws a class map over an image; numbers without a color (ignored pixels) stay bare.

    Args:
        image: uint8 ``(3, H, W)``.
        classes: int64 ``(H, W)``.
        colors: of the class numbers 0, 1, ...

    Returns:
        uint8 ``(3, H, W)``.
    """
    for number, color in enumerate(colors):
        image = paint(image, classes == number, color, alpha=0.55)
    return image


def faded(image: Tensor) -> Tensor:
    """Turns a uint8 image ``(3, H, W)`` into a pale gray one, as a ground for marks."""
    gray = image.float().mean(0, keepdim=True).expand(3, -1, -1)
    return (gray * 0.6 + 90).clamp(0, 255).to(torch.uint8)
