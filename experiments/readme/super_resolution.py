"""Makes the README's image of super-resolution: pixel loss and perceptual loss side by side.

python -m experiments.readme.super_resolution --pixel runs/sr/pixel/checkpoints/best.ckpt \
    --perceptual runs/sr/perceptual/checkpoints/best.ckpt IMAGE[:LEFT,TOP] ...

Each image is downscaled by the bicubic kernel of MATLAB and enlarged again. A row shows a crop of it, the middle unless
a corner is given: bicubic, both networks and the original, with the PSNR of the whole image.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from callbacks.output_file import save_jpeg
from callbacks.visualization.image_grid import SMALL, Panel, draw_grid
from callbacks.visualization.masks import resize_pixels
from datamodules.images.degradation import downscale
from datamodules.io.image import read_image
from datamodules.io.resize import crop_to_multiple
from datamodules.io.tensors import image_tensor
from experiments.readme.images import PICTURES
from experiments.runs.trained_module import trained_module
from lightning_modules.super_resolution import SuperResolutionModule
from lightning_modules.super_resolution_metrics import psnr
from models.super_resolution.sr_resnet import enlarge

SHOWN = SMALL // 2  # side of the crop in pixels; each is drawn as 2 x 2


def main(argv: Sequence[str]) -> int:
    """Writes ``sr.jpg``."""
    parser = argparse.ArgumentParser(
        prog="experiments.readme.super_resolution", description="Make the README's image of sr."
    )
    parser.add_argument("--pixel", type=Path, required=True, help="checkpoint trained with a pixel loss")
    parser.add_argument("--perceptual", type=Path, required=True, help="checkpoint trained with a perceptual loss")
    parser.add_argument("images", nargs="+", help="images, each with an optional corner of the crop: FILE:LEFT,TOP")
    parser.add_argument("--out", type=Path, default=PICTURES / "sr.jpg", help="output file")
    options = parser.parse_args(argv)
    modules = {
        "pixel": trained_module("sr", options.pixel, SuperResolutionModule),
        "perceptual": trained_module("sr", options.perceptual, SuperResolutionModule),
    }
    scales = {module.scale for module in modules.values()}
    if len(scales) > 1:
        parser.error(
            f"the checkpoints have different scales ({', '.join(map(str, sorted(scales)))}); both must have the same"
        )
    panels = [panel for image in options.images for panel in row(*_split_corner(image), modules)]
    title = f"{scales.pop()}x: pixel loss and perceptual loss"
    save_jpeg(options.out, sheet(panels, title))
    print(f"saved {options.out}")
    return 0


@torch.no_grad()
def row(path: Path, corner: tuple[int, int] | None, modules: dict[str, SuperResolutionModule]) -> list[Panel]:
    """Downscales and enlarges an image, and crops the same part of all results.

    Args:
        path: the image.
        corner: left and top of the crop; ``None`` is the middle.
        modules: networks of one scale by label.

    Returns:
        Panels of bicubic, of each network, and of the original image.
    """
    scale = next(iter(modules.values())).scale
    pixels = crop_to_multiple(read_image(path), scale)
    high, low = image_tensor(pixels)[None], image_tensor(downscale(pixels, scale, "bicubic"))[None]
    made = {"bicubic": enlarge(low, scale), **{name: module(low) for name, module in modules.items()}}
    scores = {name: float(psnr(image, high, border=scale)) for name, image in made.items()}
    print(f"{path.name}: " + ", ".join(f"{name} {score:.2f} dB" for name, score in scores.items()))
    height, width = pixels.shape[:2]
    left, top = corner or ((width - SHOWN) // 2, (height - SHOWN) // 2)
    part = slice(max(0, top), top + SHOWN), slice(max(0, left), left + SHOWN)
    shown = [
        Panel(f"{name} {scores[name]:.2f}", resize_pixels(image[0][:, *part], SMALL)) for name, image in made.items()
    ]
    return [*shown, Panel("image", resize_pixels(high[0][:, *part], SMALL))]


def sheet(panels: Sequence[Panel], title: str) -> np.ndarray:
    """Rows of four panels under a title, (H, W, 3) uint8."""
    drawn: Tensor = draw_grid(panels, title=title, note="PSNR in dB of the whole image; each pixel is drawn as 2 x 2")
    return np.ascontiguousarray(drawn.permute(1, 2, 0).numpy())


def _split_corner(image: str) -> tuple[Path, tuple[int, int] | None]:
    """Splits ``FILE:LEFT,TOP`` into file and corner."""
    name, _, corner = image.rpartition(":")
    if not name or not all(number.isdigit() for number in corner.split(",")):
        return Path(image), None
    left, top = (int(number) for number in corner.split(","))
    return Path(name), (left, top)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
