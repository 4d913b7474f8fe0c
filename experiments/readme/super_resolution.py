"""Makes the README's image of super-resolution: a loss of pixels and a loss that sees, side by side.

python -m experiments.readme.super_resolution --pixel runs/sr/pixel/checkpoints/best.ckpt \
    --perceptual runs/sr/perceptual/checkpoints/best.ckpt IMAGE[:LEFT,TOP] ...

Each image is made small as the field does it and enlarged again. A row shows a part of it, its middle where no
corner is named: bicubic, both networks and the image, with the PSNR of the whole image.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from callbacks.output_file import save_jpeg
from callbacks.visualization.image_grid import SMALL, Panel, grid
from callbacks.visualization.super_resolution import squares
from datamodules.images.pair_dataset import whole_multiple
from datamodules.images.shrink import shrink
from datamodules.io.image import read_image
from datamodules.io.tensors import image_tensor
from experiments.readme.images import IMAGES
from experiments.runs.trained_module import trained_module
from lightning_modules.super_resolution import SuperResolutionModule
from lightning_modules.super_resolution_metrics import psnr
from models.super_resolution.sr_resnet import enlarge

SHOWN = SMALL // 2  # pixels of the image, each of them two on the sheet


def main(argv: Sequence[str]) -> int:
    """Writes ``sr.jpg``; see the head of this file."""
    parser = argparse.ArgumentParser(
        prog="experiments.readme.super_resolution", description="Make the README's image of sr."
    )
    parser.add_argument("--pixel", type=Path, required=True, help="checkpoint trained with a loss of pixels")
    parser.add_argument("--perceptual", type=Path, required=True, help="checkpoint trained with a loss that sees")
    parser.add_argument("images", nargs="+", help="images, each with the corner of what is shown: FILE:LEFT,TOP")
    parser.add_argument("--out", type=Path, default=IMAGES / "sr.jpg", help="file of the image")
    options = parser.parse_args(argv)
    modules = {
        "pixels": trained_module("sr", options.pixel, SuperResolutionModule),
        "sees": trained_module("sr", options.perceptual, SuperResolutionModule),
    }
    scales = {module.scale for module in modules.values()}
    if len(scales) > 1:
        parser.error(f"the checkpoints enlarge {' and '.join(f'{scale}x' for scale in sorted(scales))}: take two alike")
    panels = [panel for image in options.images for panel in row(*_named(image), modules)]
    title = f"{scales.pop()}x: a loss of pixels and a loss that sees"
    save_jpeg(options.out, sheet(panels, title))
    print(f"saved {options.out}")
    return 0


@torch.no_grad()
def row(path: Path, corner: tuple[int, int] | None, modules: dict[str, SuperResolutionModule]) -> list[Panel]:
    """Enlarges an image that was made small, and shows the same part of all results.

    Args:
        path: of the image.
        corner: left and top of the part; ``None`` is the middle.
        modules: by what is written on their results; all of one scale.

    Returns:
        Bicubic, one panel for each module, and the image.
    """
    scale = next(iter(modules.values())).scale
    pixels = whole_multiple(read_image(path), scale)
    high, low = image_tensor(pixels)[None], image_tensor(shrink(pixels, scale, "bicubic"))[None]
    made = {"bicubic": enlarge(low, scale), **{name: module(low) for name, module in modules.items()}}
    scores = {name: float(psnr(image, high, border=scale)) for name, image in made.items()}
    print(f"{path.name}: " + ", ".join(f"{name} {score:.2f} dB" for name, score in scores.items()))
    height, width = pixels.shape[:2]
    left, top = corner or ((width - SHOWN) // 2, (height - SHOWN) // 2)
    part = slice(max(0, top), top + SHOWN), slice(max(0, left), left + SHOWN)
    shown = [Panel(f"{name} {scores[name]:.2f} dB", squares(image[0][:, *part])) for name, image in made.items()]
    return [*shown, Panel("image", squares(high[0][:, *part]))]


def sheet(panels: Sequence[Panel], title: str) -> np.ndarray:
    """Puts rows of four panels under a title, (H, W, 3) uint8."""
    drawn: Tensor = grid(panels, title=title, note="PSNR of the whole image; one of its pixels is 2 x 2", legend=[])
    return np.ascontiguousarray(drawn.permute(1, 2, 0).numpy())


def _named(image: str) -> tuple[Path, tuple[int, int] | None]:
    """Splits ``FILE:LEFT,TOP``."""
    name, _, corner = image.rpartition(":")
    if not name or not all(number.isdigit() for number in corner.split(",")):
        return Path(image), None
    left, top = (int(number) for number in corner.split(","))
    return Path(name), (left, top)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
