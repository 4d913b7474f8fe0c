"""``gatys``: stylizes one image by optimizing its pixels, without a network (Gatys et al. 2016)."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jsonargparse import ArgumentParser
from torch import Tensor
from tqdm import tqdm

from callbacks.output_file import save_png
from datamodules.errors import DataError
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.image import read_image
from datamodules.io.resize import resize_to
from datamodules.io.tensors import image_tensor
from experiments.cli.usage import UsageError, unknown
from experiments.commands.bit_depth import input_bits
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.style import StyleData, StyleModule
from models.losses.style import StyleLoss
from models.style.gatys import GatysResult, adam, lbfgs, optimize_pixels

#: Smallest shorter side in pixels for which the deepest layer of a VGG has features.
MIN_SIDE = 32

#: Iterations whose loss is printed, for comparison with trained networks.
MARKS = (100, 300, 500)

OPTIMIZERS = {"lbfgs": lbfgs, "adam": adam}


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the content image, the file to write, and the settings of the optimization."""
    parser.add_argument("--content", type=Path | None, default=None, help="the image to stylize")
    parser.add_argument(
        "--style", type=str | None, default=None, help="of several style images, the name of the one to use"
    )
    parser.add_argument("--out", type=Path | None, default=None, help="PNG to write (default: in the run's folder)")
    parser.add_argument("--iterations", type=int, default=500, help="number of evaluations of the loss")
    parser.add_argument("--optimizer", type=Literal["lbfgs", "adam"], default="lbfgs", help="optimizer of the pixels")
    parser.add_argument("--size", type=int, default=256, help="shorter side in pixels; smaller images are not enlarged")


def run(context: RunContext) -> int:
    """Minimizes the loss of the task over the pixels, starting from the content image.

    With a checkpoint (``--ckpt_path``, or ``--name`` of a run) the style target and the normalization of the loss are
    taken from it.

    Raises:
        UsageError: if the task is not ``style``, or an option is missing or wrong.
    """
    if not isinstance(context.model, StyleModule) or not isinstance(context.datamodule, StyleData):
        raise UsageError(f"gatys needs a style image, and the task '{context.task_name}' has none: use --task style")
    config = context.config
    if config.content is None:
        raise UsageError("gatys stylizes one image: name it with --content FILE")
    if config.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {config.iterations}")
    if config.out is not None and config.out.suffix.lower() != ".png":
        raise UsageError(f"--out {config.out}: the result is a PNG file, so the name must end in .png")
    index = style_index(context.model.styles, config.style)
    content = read_content(config.content, config.size, bits=input_bits(context, [config.content]))
    loss: StyleLoss = context.model.loss
    if not loss.has_style:
        loss.set_styles(context.datamodule.styles())
    loss.to(context.trainer.strategy.root_device)
    content = content.to(loss.units.device)
    if not loss.calibrated:
        loss.calibrate(content)
    print(f"image: {config.content}, resized to {content.shape[3]} x {content.shape[2]} px")
    print(f"features: {loss.weights_origin}")
    start = time.monotonic()
    styles = torch.tensor([index], device=content.device)
    painted = optimize(loss, content, styles, iterations=config.iterations, optimizer=config.optimizer)
    out = config.out or context.folder.path / default_name(config.content, random=loss.random)
    save_png(out, (painted.image[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy())
    print(summary(painted, loss(painted.image, content, styles), seconds=time.monotonic() - start))
    print(f"image: {relative_to_here(out)}")
    return 0


def read_content(path: Path, size: int, *, bits: int = FULL_BITS) -> Tensor:
    """Reads an image as (1, 3, H, W) float32 in [0, 1] with a shorter side of at most ``size`` pixels.

    Args:
        path: an image file.
        size: shorter side in pixels.
        bits: bits that the values of a 16-bit file use.

    Raises:
        DataError: if it cannot be read, or is too small for the loss.
    """
    pixels = read_image(path, bits=bits)
    height, width = pixels.shape[:2]
    factor = min(1.0, size / min(height, width))
    if min(height, width) * factor < MIN_SIDE:
        raise DataError(
            f"{path} would be {width * factor:.0f} x {height * factor:.0f} px: at least {MIN_SIDE} are needed"
        )
    if factor < 1:
        pixels = resize_to(pixels, round(height * factor), round(width * factor))
    return image_tensor(pixels)[None]


def style_index(names: Sequence[str], chosen: str | None) -> int:
    """Returns the index of the chosen style; the only one needs no name.

    Raises:
        UsageError: if there are several and none is chosen, or the chosen one does not exist.
    """
    if chosen is None:
        if len(names) > 1:
            raise UsageError(f"gatys paints one style: choose one with --style. There are: {', '.join(names)}")
        return 0
    if chosen not in names:
        raise unknown("style", chosen, names)
    return names.index(chosen)


def optimize(loss: StyleLoss, content: Tensor, styles: Tensor, *, iterations: int, optimizer: str) -> GatysResult:
    """Optimizes the pixels with a progress bar that shows the loss."""

    def total(pixels: Tensor) -> Tensor:
        return torch.stack(list(loss(pixels, content, styles).values())).sum()

    with tqdm(total=iterations, desc="optimizing", unit="iteration") as bar:

        def show(_iteration: int, lowest: float) -> None:
            bar.set_postfix(loss=f"{lowest:.4g}", refresh=False)
            bar.update()

        return optimize_pixels(
            total, content, iterations=iterations, optimizer=OPTIMIZERS[optimizer], on_iteration=show
        )


def default_name(content: Path, *, random: bool) -> str:
    """Returns the file name of a result; it names the method."""
    return f"{content.stem}_gatys{'_random_features' if random else ''}.png"


def summary(painted: GatysResult, parts: dict[str, Tensor], *, seconds: float) -> str:
    """Returns the loss at ``MARKS``, the duration, and the parts of the final loss."""
    done = len(painted.losses)
    marks = [mark for mark in MARKS if mark < done] + [done]
    values = [f"untouched {painted.losses[0]:.4g}"] + [f"after {n} iterations {painted.loss_at(n):.4g}" for n in marks]
    final = ", ".join(f"{name} {part.item():.3g}" for name, part in parts.items())
    return f"loss: {', '.join(values)}, in {seconds:.1f} s\n  final parts: {final}"
