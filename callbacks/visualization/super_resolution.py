"""The figures of super-resolution: small image, bicubic, result and target side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from callbacks.visualization.figures import Figures, Kept
from callbacks.visualization.image_grid import SMALL, Panel, grid
from callbacks.visualization.masks import show

#: Side of the part of a target that a sheet shows, each of its pixels as a square: where details can be seen.
SHOWN = SMALL // 2


class SrFigures(Figures):
    """Shows low, bicubic, result and target with their scores, and a training batch of low and high patches.

    Args:
        fixed: how many validation images are shown every time.
        worst: how many of the epoch's worst are shown, by PSNR.
    """

    def draw_image(self, kept: Kept, note: str) -> Tensor:
        """Draws the middle of one validated image four times."""
        output = kept.output
        note = f"SSIM {float(output['ssim']):.3f}, {_rival(kept)} {float(output['bicubic_ssim']):.3f}; {note}"
        return grid(strip(kept), title=kept.name, note=note, legend=[])

    def draw_batch(self, batch: Mapping[str, Any], note: str) -> Tensor:
        """Draws up to four pairs of a training batch, the low patches above the high ones."""
        return pairs_sheet(batch["low_res"][:4], batch["high_res"][:4], note=note)


def strip(kept: Kept) -> list[Panel]:
    """Shows the middle of one validated image: input, bicubic, result and target, with PSNR.

    At scale 1 the input is what the result is compared with, and stands there once.
    """
    low, high, output = kept.item["low_res"], kept.item["high_res"], kept.output
    small = [Panel("input", middle(low, SHOWN * low.shape[-1] // high.shape[-1]))] if _enlarged(kept) else []
    return [
        *small,
        Panel(f"{_rival(kept)} {float(output['bicubic_psnr']):.2f} dB", middle(output["bicubic"], SHOWN)),
        Panel(f"result {kept.score:.2f} dB", middle(output["preds"], SHOWN)),
        Panel("target", middle(high, SHOWN)),
    ]


def scored_sheet(images: Sequence[Kept], *, title: str, note: str) -> Tensor:
    """Draws validated images below each other, each in a row as ``strip`` shows it.

    Args:
        images: in the order they are shown; at least one.
        title: first line.
        note: second line.

    Returns:
        uint8 ``(3, H, W)``.
    """
    panels = [panel for kept in images for panel in _row(strip(kept))]
    return grid(panels, title=title, note=note, legend=[])


def pairs_sheet(low: Tensor, high: Tensor, *, note: str) -> Tensor:
    """Draws up to four pairs of patches, whole.

    Args:
        low: ``(N, 3, S, S)`` float32 in [0, 1].
        high: ``(N, 3, scale * S, scale * S)``.
        note: second line.

    Returns:
        uint8 ``(3, H, W)``: low patches in the first row, high ones in the second.
    """
    panels = _row([Panel("input", squares(image)) for image in low])
    panels += [Panel("target", squares(image)) for image in high]
    return grid(panels, title="training pairs", note=note, legend=[])


def middle(image: Tensor, side: int) -> Tensor:
    """Cuts a square of ``side`` pixels, or less where there is less, out of the middle and shows its pixels."""
    side = max(1, min(side, *image.shape[1:]))
    top, left = ((length - side) // 2 for length in image.shape[1:])
    return squares(image[:, top : top + side, left : left + side])


def squares(image: Tensor) -> Tensor:
    """Scales an image ``(3, S, S)`` to a uint8 square of side ``SMALL``; enlarged pixels stay squares."""
    if image.shape[-1] > SMALL:
        return show(image, SMALL)
    large = F.interpolate(image[None].float(), size=(SMALL, SMALL), mode="nearest-exact")[0]
    return (large.clamp(0, 1) * 255).round().byte()


def _row(panels: list[Panel]) -> list[Panel]:
    """Fills a row of a sheet up with white."""
    return panels + [Panel("", torch.full((3, SMALL, SMALL), 255, dtype=torch.uint8))] * (4 - len(panels))


def _enlarged(kept: Kept) -> bool:
    return bool(kept.item["low_res"].shape != kept.item["high_res"].shape)


def _rival(kept: Kept) -> str:
    return "bicubic" if _enlarged(kept) else "input"
