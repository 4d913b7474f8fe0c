"""What ``test`` says of super-resolution, image by image."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.tasks.report import SHOWN_IMAGES
from lightning_modules.super_resolution import mean_scores


class _Head(NamedTuple):
    """One column of a table."""

    key: str
    text: str
    width: int
    form: str

    def cell(self, row: Mapping[str, Any]) -> str:
        return f"{format(row[self.key], self.form) if self.key in row else '-':>{self.width}}"


_HEADS = (
    _Head("psnr", "PSNR", 7, ".2f"),
    _Head("bicubic_psnr", "bicubic", 8, ".2f"),
    _Head("gain", "gain", 6, "+.2f"),
    _Head("ssim", "SSIM", 7, ".4f"),
    _Head("bicubic_ssim", "bicubic", 8, ".4f"),
    _Head("blur", "blur", 6, ".3f"),
    _Head("bicubic_blur", "bicubic", 8, ".3f"),
    _Head("target_blur", "target", 7, ".3f"),
    _Head("lpips", "LPIPS", 7, ".3f"),
    _Head("bicubic_lpips", "bicubic", 8, ".3f"),
)


def sr_lines(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """Writes what super-resolution reached on each image, bicubic beside it, and the mean; many images are cut.

    >>> row = {"name": "a.png", "psnr": 30.0, "bicubic_psnr": 28.5, "ssim": 0.91, "bicubic_ssim": 0.9}
    >>> row |= {"blur": 0.4, "bicubic_blur": 0.5, "target_blur": 0.375}
    >>> for line in sr_lines([row]):
    ...     print(line)
    image    PSNR  bicubic   gain    SSIM  bicubic   blur  bicubic  target
    a.png   30.00    28.50  +1.50  0.9100   0.9000  0.400    0.500   0.375
    mean    30.00    28.50  +1.50  0.9100   0.9000  0.400    0.500   0.375
    """
    if not table:
        return []
    rows = [{**row, "gain": row["psnr"] - row["bicubic_psnr"]} for row in table]
    heads = [head for head in _HEADS if any(head.key in row for row in rows)]
    shown = [*rows[:SHOWN_IMAGES], {"name": "mean", **mean_scores(rows)}]
    width = max(len("image"), *(len(row["name"]) for row in shown))
    lines = [" ".join([f"{'image':{width}}", *(f"{head.text:>{head.width}}" for head in heads)])]
    lines += [" ".join([f"{row['name']:{width}}", *(head.cell(row) for head in heads)]) for row in shown]
    if len(rows) > SHOWN_IMAGES:
        lines.insert(-1, f"... and {len(rows) - SHOWN_IMAGES} better ones")
    return lines
