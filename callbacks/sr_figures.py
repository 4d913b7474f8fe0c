"""The figures of super-resolution: small picture, bicubic, result and target side by side."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from callbacks.drawing import show
from callbacks.figures import Figures, Kept
from callbacks.sheets import SMALL, Panel, grid

#: Side of the part of a target that a sheet shows, each of its pixels as a square: where details can be seen.
SHOWN = SMALL // 2


class SrFigures(Figures):
    """Shows low, bicubic, result and target with their scores, and a training batch of low and high patches.

    Args:
        fixed: how many validation pictures are shown every time.
        worst: how many of the epoch's worst are shown, by PSNR.
    """

    def draw_picture(self, kept: Kept, note: str) -> Tensor:
        """Draws one validated picture."""
        return strip(
            kept.item["low"],
            kept.output["bicubic"],
            kept.output["preds"],
            kept.item["high"],
            bicubic_scores=(float(kept.output["bicubic_psnr"]), float(kept.output["bicubic_ssim"])),
            scores=(kept.score, float(kept.output["ssim"])),
            name=kept.name,
            note=note,
        )

    def draw_batch(self, batch: Mapping[str, Any], note: str) -> Tensor:
        """Draws up to four pairs of a training batch, the low patches above the high ones."""
        return pairs_sheet(batch["low"][:4], batch["high"][:4], note=note)


def strip(
    low: Tensor,
    bicubic: Tensor,
    preds: Tensor,
    high: Tensor,
    *,
    bicubic_scores: tuple[float, float],
    scores: tuple[float, float],
    name: str,
    note: str,
) -> Tensor:
    """Draws the middle of one picture four times.

    Args:
        low: ``(3, S, S)`` float32 in [0, 1], what the network got.
        bicubic: ``(3, scale * S, scale * S)``, enlarged by interpolation.
        preds: the same shape, what the network made of it.
        high: the same shape, the truth.
        bicubic_scores: PSNR in dB and SSIM of ``bicubic``.
        scores: those of ``preds``.
        name: of the picture.
        note: second line.

    Returns:
        uint8 ``(3, H, W)``.
    """
    enlarged = low.shape != high.shape  # at scale 1 the input is what the result is compared with
    rival = "bicubic" if enlarged else "input"
    panels = [
        *([Panel("input", middle(low, SHOWN * low.shape[-1] // high.shape[-1]))] if enlarged else []),
        Panel(f"{rival} {bicubic_scores[0]:.2f} dB", middle(bicubic, SHOWN)),
        Panel(f"result {scores[0]:.2f} dB", middle(preds, SHOWN)),
        Panel("target", middle(high, SHOWN)),
    ]
    note = f"SSIM {scores[1]:.3f}, {rival} {bicubic_scores[1]:.3f}; {note}"
    return grid(panels, title=name, note=note, legend=[])


def pairs_sheet(low: Tensor, high: Tensor, *, note: str) -> Tensor:
    """Draws up to four pairs of patches, whole.

    Args:
        low: ``(N, 3, S, S)`` float32 in [0, 1].
        high: ``(N, 3, scale * S, scale * S)``.
        note: second line.

    Returns:
        uint8 ``(3, H, W)``: low patches in the first row, high ones in the second.
    """
    blank = torch.full((3, SMALL, SMALL), 255, dtype=torch.uint8)
    panels = [Panel("input", squares(image)) for image in low]
    panels += [Panel("", blank)] * (4 - len(low))
    panels += [Panel("target", squares(image)) for image in high]
    return grid(panels, title="training pairs", note=note, legend=[])


def middle(image: Tensor, side: int) -> Tensor:
    """Cuts a square of ``side`` pixels, or less where there is less, out of the middle and shows its pixels."""
    side = max(1, min(side, *image.shape[1:]))
    top, left = ((length - side) // 2 for length in image.shape[1:])
    return squares(image[:, top : top + side, left : left + side])


def squares(image: Tensor) -> Tensor:
    """Scales a picture ``(3, S, S)`` to a uint8 square of side ``SMALL``; enlarged pixels stay squares."""
    if image.shape[-1] > SMALL:
        return show(image, SMALL)
    large = F.interpolate(image[None].float(), size=(SMALL, SMALL), mode="nearest-exact")[0]
    return (large.clamp(0, 1) * 255).round().byte()
