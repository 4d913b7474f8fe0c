"""Pictures for people: tensors in, uint8 RGB pictures out. Nothing here knows a trainer or a logger.

Class maps are int64 ``(H, W)``; pictures are ``(3, H, W)``, float32 in [0, 1] going in and uint8 coming out.
"""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

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
INK, PAPER = (30, 30, 30), (255, 255, 255)


class Panel(NamedTuple):
    """One picture of a sheet and what is written on it."""

    label: str
    picture: Tensor  # (3, S, S) uint8


class Key(NamedTuple):
    """One entry of a legend."""

    label: str
    colour: Colour


def palette(classes: int) -> list[Colour]:
    """Colours of class numbers 0, 1, ...; they repeat after twelve."""
    return list(islice(cycle(PALETTE), classes))


def panel_side(size: int) -> int:
    """Side at which a picture of ``size`` pixels is shown: large enough to read, small enough for an event file.

    >>> [panel_side(size) for size in (64, 128, 400, 1024)]
    [320, 320, 400, 448]
    """
    return min(max(size, 320), 448)


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


def sheet(panels: Sequence[Panel], *, columns: int, title: str, note: str = "", legend: Sequence[Key] = ()) -> Tensor:
    """Puts labelled pictures on one sheet with a title above and a legend below.

    Letters are a twentieth of the sheet's width, so that they can be read at the size of TensorBoard's cards.

    Args:
        panels: the pictures, row by row, all of one size.
        columns: pictures in a row.
        title: large, first line; shortened in the middle if it is too long.
        note: smaller, second line.
        legend: what the colours mean.

    Returns:
        uint8 ``(3, H, W)``.
    """
    side, gap = panels[0].picture.shape[-1], 4
    width = columns * (side + gap) - gap
    large, small = ImageFont.load_default(width // 20), ImageFont.load_default(width // 26)
    line = width // 15
    keys = _legend_rows(legend, width, small, line)
    head = line * (2 if note else 1) + gap
    rows = -(-len(panels) // columns)
    canvas = Image.new("RGB", (width, head + rows * (side + gap) + line * len(keys)), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((gap, line / 2), shortened(title, large, width - 2 * gap), INK, large, anchor="lm")
    if note:
        draw.text((gap, line * 1.5), shortened(note, small, width - 2 * gap), (90, 90, 90), small, anchor="lm")
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        corner = (column * (side + gap), head + row * (side + gap))
        canvas.paste(Image.fromarray(panel.picture.permute(1, 2, 0).contiguous().numpy()), corner)
        _label(draw, shortened(panel.label, small, side - 12), (corner[0], corner[1] + side), small)
    for row, entries in enumerate(keys):
        middle = canvas.height - line * (len(keys) - row - 0.5)
        for left, key in entries:
            box = (left, middle - line * 0.28, left + line * 0.56, middle + line * 0.28)
            draw.rectangle(box, fill=key.colour)
            draw.text((left + line * 0.75, middle), key.label, INK, small, anchor="lm")
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1)


def shortened(text: str, font: Font, width: float) -> str:
    """Takes letters out of the middle of ``text`` until it fits ``width`` pixels."""
    keep, short = len(text), text
    while keep > 1 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: -(-keep // 2)]}...{text[len(text) - keep // 2 :]}"
    return short


def _label(draw: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], font: Font) -> None:
    """Writes white on a dark plate into the lower left corner of a panel."""
    if not text:
        return
    at = (corner[0] + 6, corner[1] - 6)
    box = draw.textbbox(at, text, font, anchor="ld")
    draw.rectangle((box[0] - 6, box[1] - 4, box[2] + 6, box[3] + 6), fill=(20, 20, 20))
    draw.text(at, text, PAPER, font, anchor="ld")


def _legend_rows(legend: Sequence[Key], width: int, font: Font, line: int) -> list[list[tuple[float, Key]]]:
    """Breaks a legend into rows of (left edge, entry)."""
    rows: list[list[tuple[float, Key]]] = []
    left = float(width)
    for key in legend:
        room = line * 1.25 + font.getlength(key.label)
        if left + room > width:
            rows.append([])
            left = 4.0
        rows[-1].append((left, key))
        left += room
    return rows
