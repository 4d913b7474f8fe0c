"""``gatys``: one image in the manner of the painting, without a network: its pixels are optimised."""

import time
from pathlib import Path
from typing import Literal

import torch
from jsonargparse import ArgumentParser
from torch import Tensor
from tqdm import tqdm

from callbacks.output_file import save_png
from datamodules.errors import DataError
from datamodules.io.image import read_image
from datamodules.io.resize import resize_to
from datamodules.io.tensors import image_tensor
from experiments.cli.usage import UsageError
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.style import StyleData, StyleModule
from models.losses.style import StyleLoss
from models.style.gatys import GatysResult, adam, lbfgs, optimize_pixels

#: Shorter side that the deepest layer of a VGG still sees something of.
LEAST = 32

#: Iterations whose loss is told, by which trained networks are judged.
MARKS = (100, 300, 500)

OPTIMIZERS = {"lbfgs": lbfgs, "adam": adam}


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the image, where the result goes, and how long to work on it."""
    parser.add_argument("--content", type=Path | None, default=None, help="the image to repaint")
    parser.add_argument("--out", type=Path | None, default=None, help="PNG to write (default: in the run's folder)")
    parser.add_argument("--iterations", type=int, default=500, help="evaluations of the loss")
    parser.add_argument("--optimizer", type=Literal["lbfgs", "adam"], default="lbfgs", help="how pixels are changed")
    parser.add_argument("--size", type=int, default=256, help="shorter side in pixels; smaller images stay so")


def run(context: RunContext) -> int:
    """Optimises the pixels, from the image on, for the same loss by which networks are trained.

    With a checkpoint (``--ckpt_path``, or ``--name`` of a run) painting and units of the loss are that run's.

    Raises:
        UsageError: if the task is another one, or there is no image.
    """
    if not isinstance(context.model, StyleModule) or not isinstance(context.datamodule, StyleData):
        raise UsageError(f"gatys paints after a style image, and '{context.task_name}' has none: use --task style")
    config = context.config
    if config.content is None:
        raise UsageError("gatys repaints one image: name it with --content FILE")
    if config.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {config.iterations}")
    if config.out is not None and config.out.suffix.lower() != ".png":
        raise UsageError(f"--out {config.out}: the result is a PNG, so call it something.png")
    content = read_content(config.content, config.size)
    loss: StyleLoss = context.model.loss
    if not loss.has_style:
        loss.set_style(context.datamodule.style())
    loss.to(context.trainer.strategy.root_device)
    content = content.to(loss.units.device)
    if not loss.calibrated:
        loss.calibrate(content)
    print(f"image: {config.content}, taken at {content.shape[3]} x {content.shape[2]} px")
    print(f"features: {loss.weights_origin}")
    start = time.monotonic()
    painted = optimise(loss, content, iterations=config.iterations, optimizer=config.optimizer)
    out = config.out or context.folder.path / default_name(config.content, random=loss.random)
    save_png(out, (painted.image[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy())
    print(summary(painted, loss(painted.image, content), seconds=time.monotonic() - start))
    print(f"image: {relative_to_here(out)}")
    return 0


def read_content(path: Path, size: int) -> Tensor:
    """Reads an image as (1, 3, H, W) float32 in [0, 1], its shorter side ``size`` at most.

    Raises:
        DataError: if it cannot be read, or is too small for the loss.
    """
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    factor = min(1.0, size / min(height, width))
    if min(height, width) * factor < LEAST:
        raise DataError(f"{path} would be {width * factor:.0f} x {height * factor:.0f} px: at least {LEAST} are needed")
    if factor < 1:
        pixels = resize_to(pixels, round(height * factor), round(width * factor))
    return image_tensor(pixels)[None]


def optimise(loss: StyleLoss, content: Tensor, *, iterations: int, optimizer: str) -> GatysResult:
    """Paints with a progress bar that shows the loss."""

    def total(pixels: Tensor) -> Tensor:
        return torch.stack(list(loss(pixels, content).values())).sum()

    with tqdm(total=iterations, desc="painting", unit="iteration") as bar:

        def show(_iteration: int, lowest: float) -> None:
            bar.set_postfix(loss=f"{lowest:.4g}", refresh=False)
            bar.update()

        return optimize_pixels(
            total, content, iterations=iterations, optimizer=OPTIMIZERS[optimizer], on_iteration=show
        )


def default_name(content: Path, *, random: bool) -> str:
    """The name of a result says how it was made."""
    return f"{content.stem}_gatys{'_random_features' if random else ''}.png"


def summary(painted: GatysResult, parts: dict[str, Tensor], *, seconds: float) -> str:
    """Says how far the loss came, when, and what is left of it."""
    done = len(painted.losses)
    marks = [mark for mark in MARKS if mark < done] + [done]
    told = [f"untouched {painted.losses[0]:.4g}"] + [f"after {n} iterations {painted.loss_at(n):.4g}" for n in marks]
    left = ", ".join(f"{name} {part.item():.3g}" for name, part in parts.items())
    return f"loss: {', '.join(told)}, in {seconds:.1f} s\n  of it {left}"
