"""Sheets for people: labelled images under a title, with a legend. Images in, one uint8 RGB image out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from callbacks.visualization.masks import Color

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK, PAPER = (30, 30, 30), (255, 255, 255)

# Sheets are all of one width, in pixels: TensorBoard's cards show them at a bit less than half.
SMALL, GAP = 240, 4
STEP, LARGE, WIDTH = SMALL + GAP, 2 * SMALL + GAP, 4 * SMALL + 3 * GAP
LETTER, LINE, HEAD = 28, 40, 92


class Panel(NamedTuple):
    """One image of a sheet and what is written on it."""

    label: str
    image: Tensor  # (3, S, S) uint8


class Key(NamedTuple):
    """One entry of a legend."""

    label: str
    color: Color


def grid(panels: Sequence[Panel], *, title: str, note: str, legend: Sequence[Key]) -> Tensor:
    """Puts small images on one sheet, four in a row.

    Args:
        panels: images of side ``SMALL``, at least one.
        title: large, first line; shortened in the middle if it is too long.
        note: smaller, second line.
        legend: what the colors mean.

    Returns:
        uint8 ``(3, H, 4 * SMALL + 3 * GAP)``.
    """
    rows = -(-len(panels) // 4)
    canvas = _paper(rows * STEP + LINE * len(_rows(legend, WIDTH)), title, note)
    for index, panel in enumerate(panels):
        row, column = divmod(index, 4)
        _paste(canvas, panel, (column * STEP, HEAD + row * STEP))
    _write_legend(canvas, legend, (0, HEAD + rows * STEP), WIDTH)
    return _tensor(canvas)


def comparison(small: Sequence[Panel], large: Panel, *, title: str, note: str, legend: Sequence[Key]) -> Tensor:
    """Puts three small images and a legend beside a large one.

    A wide sheet: TensorBoard's first page shows images in cards twice as wide as high, whatever their shape.

    Args:
        small: three images of side ``SMALL``.
        large: one image of side ``LARGE``.
        title: large, first line; shortened in the middle if it is too long.
        note: smaller, second line.
        legend: what the colors mean.

    Returns:
        uint8 ``(3, HEAD + LARGE, 4 * SMALL + 3 * GAP)``.
    """
    canvas = _paper(LARGE, title, note)
    for index, panel in enumerate(small):
        row, column = divmod(index, 2)
        _paste(canvas, panel, (column * STEP, HEAD + row * STEP))
    _paste(canvas, large, (2 * STEP, HEAD))
    _write_legend(canvas, legend, (STEP, HEAD + STEP), SMALL)
    return _tensor(canvas)


def single(image: Tensor, *, title: str, note: str) -> Tensor:
    """Puts one image of any shape, no wider than a sheet, under a title.

    Args:
        image: uint8 ``(3, H, W)``.
        title: large, first line.
        note: smaller, second line.

    Returns:
        uint8 ``(3, HEAD + H, 4 * SMALL + 3 * GAP)``.
    """
    canvas = _paper(image.shape[1], title, note)
    _paste(canvas, Panel("", image), ((WIDTH - image.shape[2]) // 2, HEAD))
    return _tensor(canvas)


def labelled(panel: Panel) -> Tensor:
    """Writes an image's label on it; the image given stays as it is.

    Returns:
        uint8 ``(3, H, W)``, as large as the image.
    """
    canvas = Image.new("RGB", (panel.image.shape[2], panel.image.shape[1]))
    _paste(canvas, panel, (0, 0))
    return _tensor(canvas)


def shortened(text: str, font: Font, width: float) -> str:
    """Takes letters out of the middle of ``text`` until it fits ``width`` pixels."""
    keep, short = len(text), text
    while keep > 1 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: -(-keep // 2)]}...{text[len(text) - keep // 2 :]}"
    return short


def _paper(height: int, title: str, note: str) -> Image.Image:
    """A sheet with its head written and room of ``height`` below."""
    canvas = Image.new("RGB", (WIDTH, HEAD + height), PAPER)
    draw, large, small = ImageDraw.Draw(canvas), ImageFont.load_default(40), ImageFont.load_default(LETTER)
    draw.text((GAP, HEAD * 0.3), shortened(title, large, WIDTH - 2 * GAP), INK, large, anchor="lm")
    draw.text((GAP, HEAD * 0.75), shortened(note, small, WIDTH - 2 * GAP), (90, 90, 90), small, anchor="lm")
    return canvas


def _paste(canvas: Image.Image, panel: Panel, corner: tuple[int, int]) -> None:
    """Places an image and writes its label, white on a dark plate, into its lower left corner."""
    pixels = panel.image.permute(1, 2, 0).contiguous().numpy()
    canvas.paste(Image.fromarray(pixels), corner)
    if panel.label:
        draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(LETTER)
        at = (corner[0] + 6, corner[1] + len(pixels) - 6)
        box = draw.textbbox(at, panel.label, font, anchor="ld")
        draw.rectangle((box[0] - 6, box[1] - 4, box[2] + 6, box[3] + 6), fill=(20, 20, 20))
        draw.text(at, panel.label, PAPER, font, anchor="ld")


def _write_legend(canvas: Image.Image, legend: Sequence[Key], corner: tuple[int, int], width: int) -> None:
    """Writes colored squares with their names into a box; many entries make small ones."""
    if not legend:
        return
    rows = _rows(legend, width)
    draw, line = ImageDraw.Draw(canvas), min(LINE, (canvas.height - corner[1]) / max(1, len(rows)))
    font = ImageFont.load_default(LETTER * line / LINE)
    for row, entries in enumerate(rows):
        middle, half = corner[1] + line * (row + 0.5), line * 0.28
        for left, key in entries:
            x = corner[0] + GAP + left
            draw.rectangle((x, middle - half, x + 2 * half, middle + half), fill=key.color)
            draw.text((x + line * 0.75, middle), key.label, INK, font, anchor="lm")


def _rows(legend: Sequence[Key], width: int) -> list[list[tuple[float, Key]]]:
    """Breaks a legend into rows of (left edge, entry)."""
    font = ImageFont.load_default(LETTER)
    rows: list[list[tuple[float, Key]]] = []
    left = float(width)
    for key in legend:
        room = LINE * 1.25 + font.getlength(key.label)
        if left + room > width:
            rows.append([])
            left = 0.0
        rows[-1].append((left, key))
        left += room
    return rows


def _tensor(canvas: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1)
