"""Figures of super-resolution: input, bicubic, result and target side by side."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.image_grid import SMALL, Panel, draw_grid, draw_rows
from callbacks.visualization.masks import center_crop, resize_pixels
from callbacks.visualization.task_figures import Figures

#: Side of the central part of the target that is drawn, enlarged twice so that details are visible.
CROP = SMALL // 2


class SuperResolutionFigures(Figures):
    """Draws input, bicubic, result and target with their PSNR, and pairs of training patches."""

    def score_text(self, score: float) -> str:
        """Formats the PSNR."""
        return f"PSNR {score:.2f} dB"

    def draw_batch(self, batch: Mapping[str, Any], *, count: int, note: str) -> Tensor:
        """Draws up to four pairs of patches: inputs in the first row, targets in the second.

        Args:
            batch: a ``PairBatch``.
            count: maximum number of pairs.
            note: second line.
        """
        images = {"input": batch["low_res"], "target": batch["high_res"]}
        return draw_rows(images, count=count, title="training pairs", note=note)

    def draw_sample(self, sample: Sample, *, note: str) -> Tensor:
        """Draws the center of one validation image."""
        ssim, baseline = float(sample.outputs["ssim"]), float(sample.outputs["bicubic_ssim"])
        note = f"SSIM {ssim:.3f}, {_baseline_name(sample)} {baseline:.3f}; {note}"
        return draw_grid(self.panels(sample), title=sample.name, note=note)

    def panels(self, sample: Sample) -> list[Panel]:
        """Draws the center of input, bicubic, result and target.

        At scale 1 the result is compared with the input itself, which is then drawn once.
        """
        low, high, outputs = sample.inputs["low_res"], sample.inputs["high_res"], sample.outputs
        small = _center(low, CROP * low.shape[-1] // high.shape[-1])
        return [
            *([Panel("input", small)] if _is_enlarged(sample) else []),
            Panel(
                f"{_baseline_name(sample)} {float(outputs['bicubic_psnr']):.2f} dB", _center(outputs["bicubic"], CROP)
            ),
            Panel(f"result {sample.score:.2f} dB", _center(outputs["preds"], CROP)),
            Panel("target", _center(high, CROP)),
        ]


def _center(image: Tensor, side: int) -> Tensor:
    return resize_pixels(center_crop(image, side), SMALL)


def _is_enlarged(sample: Sample) -> bool:
    return bool(sample.inputs["low_res"].shape != sample.inputs["high_res"].shape)


def _baseline_name(sample: Sample) -> str:
    return "bicubic" if _is_enlarged(sample) else "input"
