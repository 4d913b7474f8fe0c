"""Makes the README's image of restoration: degraded, restored and true images side by side.

python -m experiments.readme.repairs colorize=runs/sr/colorize/checkpoints/best.ckpt:IMAGE \
    fade=runs/sr/fade/checkpoints/best.ckpt:IMAGE ...

The images should not be among those that the networks were trained on. The degradation of a recipe is drawn once, with
the same seed every time.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from callbacks.output_file import save_jpeg
from callbacks.visualization.image_grid import Panel, draw_label
from datamodules.images.corruptions import Corruption, Fade, FewColors, Gray, Jpeg, Noise, Tilt
from datamodules.images.degradation import Degradation
from datamodules.io.image import read_image
from experiments.readme.images import PICTURES
from experiments.runs.trained_module import trained_module
from lightning_modules.super_resolution import SuperResolutionModule

SIDE = 320  # of an image in pixels
SEED = 3
#: What is shown of each recipe: within what it trains on, and plain to see at this size.
CORRUPTIONS: dict[str, Corruption] = {
    "colorize": Gray(),
    "fade": Fade(strength=(0.9, 0.9), scratches=(1.5, 1.5)),
    "dequantize": FewColors(colors=(16, 16)),
    "straighten": Tilt(degrees=(5, 5)),
    "denoise": Noise(sigma=(35, 35)),
    "dejpeg": Jpeg(quality=(12, 12)),
}


def main(argv: Sequence[str]) -> int:
    """Writes ``repairs.jpg``."""
    parser = argparse.ArgumentParser(
        prog="experiments.readme.repairs", description="Make the README's image of restoration."
    )
    parser.add_argument("rows", nargs="+", metavar="RECIPE=CHECKPOINT:IMAGE", help=f"of {', '.join(CORRUPTIONS)}")
    parser.add_argument("--out", type=Path, default=PICTURES / "repairs.jpg", help="output file")
    options = parser.parse_args(argv)
    rows = []
    for words in options.rows:
        name, _, files = words.partition("=")
        checkpoint, _, image = files.rpartition(":")
        if name not in CORRUPTIONS or not checkpoint:
            parser.error(f"{words} is not RECIPE=CHECKPOINT:IMAGE with a recipe of {', '.join(CORRUPTIONS)}")
        rows.append(row(name, trained_module("sr", Path(checkpoint), SuperResolutionModule), Path(image)))
    save_jpeg(options.out, np.vstack(rows))
    print(f"saved {options.out}")
    return 0


@torch.no_grad()
def row(name: str, module: SuperResolutionModule, file: Path) -> np.ndarray:
    """The degraded image, what the network makes of it, and the image side by side: (SIDE, 3 * SIDE, 3) uint8."""
    degrade = Degradation(after=[CORRUPTIONS[name]])
    margin = degrade.margin(SIDE, scale=1)
    whole = (SIDE + 2 * margin, SIDE + 2 * margin)
    image = np.array(ImageOps.fit(Image.fromarray(read_image(file)), whole, Image.Resampling.LANCZOS))
    inner = slice(margin, SIDE + margin)
    low = torch.from_numpy(degrade(image, scale=1, seed=SEED)[inner, inner].copy()).permute(2, 0, 1)
    high = torch.from_numpy(image[inner, inner].copy()).permute(2, 0, 1)
    restored = module(low[None])[0].clamp(0, 1).mul(255).round().byte()
    panels = (Panel(f"{name}: input", low), Panel("result", restored), Panel("image", high))
    return np.hstack([draw_label(panel).permute(1, 2, 0).numpy() for panel in panels])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
