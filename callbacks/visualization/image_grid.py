"""Arranges labeled images under a title, with a legend: uint8 images in, one uint8 RGB image out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from callbacks.visualization.masks import Color, resize_pixels

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

TEXT, BACKGROUND = (30, 30, 30), (255, 255, 255)

# All figures have the same width in pixels; TensorBoard's cards show them at a bit less than half of it.
SMALL, GAP, COLUMNS = 240, 4, 4
STEP, LARGE, WIDTH = SMALL + GAP, 2 * SMALL + GAP, COLUMNS * SMALL + (COLUMNS - 1) * GAP
FONT_SIZE, LINE, HEADER = 28, 40, 92


class Panel(NamedTuple):
    """One image of a figure and its label."""

    label: str
    image: Tensor  # (3, S, S) uint8


class LegendEntry(NamedTuple):
    """A color and its meaning."""

    label: str
    color: Color


def draw_grid(panels: Sequence[Panel], *, title: str, note: str, legend: Sequence[LegendEntry] = ()) -> Tensor:
    """Arranges small images, four in a row.

    Args:
        panels: images of side ``SMALL``, at least one.
        title: first line, in large letters; shortened in the middle if it is too long.
        note: second line, in smaller letters.
        legend: meaning of the colors.

    Returns:
        uint8 ``(3, H, WIDTH)``.
    """
    rows = -(-len(panels) // COLUMNS)
    canvas = _new_canvas(rows * STEP + LINE * len(_legend_rows(legend, WIDTH)), title, note)
    for index, panel in enumerate(panels):
        row, column = divmod(index, COLUMNS)
        _paste(canvas, panel, (column * STEP, HEADER + row * STEP))
    _draw_legend(canvas, legend, (0, HEADER + rows * STEP), WIDTH)
    return _to_tensor(canvas)


def draw_rows(images: Mapping[str, Tensor], *, count: int, title: str, note: str) -> Tensor:
    """Draws a row for each field of a batch.

    Args:
        images: float32 ``(N, 3, S, S)`` in [0, 1], by label; their sizes may differ.
        count: maximum number of samples; a row has room for four.
        title: first line.
        note: second line.

    Returns:
        uint8 ``(3, H, WIDTH)``.
    """
    count = min(count, COLUMNS)
    rows = [[Panel(label, resize_pixels(image, SMALL)) for image in batch[:count]] for label, batch in images.items()]
    return draw_grid([panel for row in rows for panel in fill_row(row)], title=title, note=note)


def fill_row(panels: Sequence[Panel]) -> list[Panel]:
    """Appends empty panels up to the end of a row."""
    empty = Panel("", torch.full((3, SMALL, SMALL), 255, dtype=torch.uint8))
    return [*panels, *[empty] * (COLUMNS - len(panels))]


def draw_comparison(
    small: Sequence[Panel], large: Panel, *, title: str, note: str, legend: Sequence[LegendEntry] = ()
) -> Tensor:
    """Arranges three small images and a legend beside a large one.

    The figure is wide because TensorBoard's cards are twice as wide as high, whatever the shape of the image.

    Args:
        small: three images of side ``SMALL``.
        large: one image of side ``LARGE``.
        title: first line, in large letters; shortened in the middle if it is too long.
        note: second line, in smaller letters.
        legend: meaning of the colors.

    Returns:
        uint8 ``(3, HEADER + LARGE, WIDTH)``.
    """
    canvas = _new_canvas(LARGE, title, note)
    for index, panel in enumerate(small):
        row, column = divmod(index, 2)
        _paste(canvas, panel, (column * STEP, HEADER + row * STEP))
    _paste(canvas, large, (2 * STEP, HEADER))
    _draw_legend(canvas, legend, (STEP, HEADER + STEP), SMALL)
    return _to_tensor(canvas)


def draw_single(image: Tensor, *, title: str, note: str) -> Tensor:
    """Centers one image under a title.

    Args:
        image: uint8 ``(3, H, W)``, at most ``WIDTH`` pixels wide.
        title: first line, in large letters.
        note: second line, in smaller letters.

    Returns:
        uint8 ``(3, HEADER + H, WIDTH)``.
    """
    canvas = _new_canvas(image.shape[1], title, note)
    _paste(canvas, Panel("", image), ((WIDTH - image.shape[2]) // 2, HEADER))
    return _to_tensor(canvas)


def draw_label(panel: Panel) -> Tensor:
    """Returns a copy of the panel's image with the label on it, uint8 ``(3, H, W)``."""
    canvas = Image.new("RGB", (panel.image.shape[2], panel.image.shape[1]))
    _paste(canvas, panel, (0, 0))
    return _to_tensor(canvas)


def shorten(text: str, font: Font, width: float) -> str:
    """Removes letters from the middle of ``text`` until it fits ``width`` pixels."""
    keep, short = len(text), text
    while keep > 1 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: -(-keep // 2)]}...{text[len(text) - keep // 2 :]}"
    return short


def _new_canvas(height: int, title: str, note: str) -> Image.Image:
    """Creates a canvas with a header and ``height`` empty pixels below it."""
    canvas = Image.new("RGB", (WIDTH, HEADER + height), BACKGROUND)
    draw, large, small = ImageDraw.Draw(canvas), ImageFont.load_default(40), ImageFont.load_default(FONT_SIZE)
    draw.text((GAP, HEADER * 0.3), shorten(title, large, WIDTH - 2 * GAP), TEXT, large, anchor="lm")
    draw.text((GAP, HEADER * 0.75), shorten(note, small, WIDTH - 2 * GAP), (90, 90, 90), small, anchor="lm")
    return canvas


def _paste(canvas: Image.Image, panel: Panel, corner: tuple[int, int]) -> None:
    """Pastes an image with its label, white on a dark rectangle, in the lower left corner."""
    pixels = panel.image.permute(1, 2, 0).contiguous().numpy()
    canvas.paste(Image.fromarray(pixels), corner)
    if panel.label:
        draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT_SIZE)
        at = (corner[0] + 6, corner[1] + len(pixels) - 6)
        box = draw.textbbox(at, panel.label, font, anchor="ld")
        draw.rectangle((box[0] - 6, box[1] - 4, box[2] + 6, box[3] + 6), fill=(20, 20, 20))
        draw.text(at, panel.label, BACKGROUND, font, anchor="ld")


def _draw_legend(canvas: Image.Image, legend: Sequence[LegendEntry], corner: tuple[int, int], width: int) -> None:
    """Draws colored squares with their labels; the more rows there are, the smaller they get."""
    if not legend:
        return
    rows = _legend_rows(legend, width)
    draw, line = ImageDraw.Draw(canvas), min(LINE, (canvas.height - corner[1]) / max(1, len(rows)))
    font = ImageFont.load_default(FONT_SIZE * line / LINE)
    for row, entries in enumerate(rows):
        middle, half = corner[1] + line * (row + 0.5), line * 0.28
        for left, entry in entries:
            x = corner[0] + GAP + left
            draw.rectangle((x, middle - half, x + 2 * half, middle + half), fill=entry.color)
            draw.text((x + line * 0.75, middle), entry.label, TEXT, font, anchor="lm")


def _legend_rows(legend: Sequence[LegendEntry], width: int) -> list[list[tuple[float, LegendEntry]]]:
    """Breaks a legend into rows of (left edge, entry)."""
    font = ImageFont.load_default(FONT_SIZE)
    rows: list[list[tuple[float, LegendEntry]]] = []
    left = float(width)
    for entry in legend:
        length = LINE * 1.25 + font.getlength(entry.label)
        if left + length > width:
            rows.append([])
            left = 0.0
        rows[-1].append((left, entry))
        left += length
    return rows


def _to_tensor(canvas: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1)
