"""Compares the loss and the time of a trained style network with those of Gatys' method.

    python -m experiments.benchmarks.style_gatys [--images 4] [--iterations 500] [options of run.py]

All other options are those of ``run.py --task style``: ``--ckpt_path FILE`` or ``--name RUN`` (by default the best
checkpoint of the newest run), ``--data.root FOLDER``, ``--trainer.accelerator gpu`` and so on. Both methods get the
same held-out images and the same loss; Gatys' method starts from the content image and optimizes its pixels by
L-BFGS. Johnson et al. 2016 (figure 5) report networks at the loss of 50 to 100 of Gatys' iterations. Time is processor
time on a CPU, which other load affects less, and wall time on a GPU.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median_high
from typing import Any, cast

import torch
from torch import Tensor
from tqdm import tqdm

from datamodules.base import length_of
from datamodules.loading.sampler import Key
from experiments.cli.arguments import read_arguments
from experiments.cli.errors import MISTAKES
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.style import StyleModule
from models.style.gatys import optimize_pixels

MARKS = (100, 300, 500)


@dataclass(kw_only=True)
class Measurements:
    """Measurements, one entry per image.

    Args:
        untouched: loss of the content image itself.
        network: loss of the network's output.
        network_seconds: time of the forward pass.
        gatys: lowest loss up to each iteration.
        gatys_seconds: time up to each iteration.
    """

    untouched: list[float] = field(default_factory=list)
    network: list[float] = field(default_factory=list)
    network_seconds: list[float] = field(default_factory=list)
    gatys: list[list[float]] = field(default_factory=list)
    gatys_seconds: list[list[float]] = field(default_factory=list)


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.style_gatys", description="Network against Gatys.")
    parser.add_argument("--images", type=int, default=4, help="held-out images")
    parser.add_argument("--iterations", type=int, default=max(MARKS), help="iterations of Gatys' method per image")
    options, rest = parser.parse_known_args(argv)
    try:
        context = build_context(make_plan(read_arguments(["--task", "style", "test", *rest])))
        contents = held_out(context, options.images)
    except MISTAKES as error:
        print(f"style_gatys: {error}", file=sys.stderr)
        return 2
    module = cast(StyleModule, context.model)
    if len(module.styles) > 1:
        print("style_gatys: compares networks of one style", file=sys.stderr)
        return 2
    device = context.trainer.strategy.root_device
    module.to(device).eval().requires_grad_(False)
    module.loss.load()
    figures = Measurements()
    with tqdm(total=len(contents) * options.iterations, desc="Gatys", unit="iteration") as bar:
        for content in contents:
            measure(figures, module, content[None].to(device), iterations=options.iterations, bar=bar)
    height, width = contents[0].shape[1:]
    print(f"{len(contents)} held-out images at {width} x {height} px, {device}, torch {torch.__version__}")
    print(f"network: {relative_to_here(context.checkpoint.path) if context.checkpoint else 'untrained'}")
    print(f"loss: {module.loss.name} layers {list(module.loss.layers)}, {module.loss.weights_origin}")
    print("\n".join(table(figures)))
    return 0


def held_out(context: RunContext, count: int) -> list[Tensor]:
    """The first validation images of the stage, each (3, S, S)."""
    context.datamodule.prepare(context.stages)
    context.datamodule.setup("test")
    data = context.datamodule.val_set(context.stage)
    return [data[Key(0, index)]["content"] for index in range(min(count, length_of(data)))]


def measure(figures: Measurements, module: StyleModule, content: Tensor, *, iterations: int, bar: "tqdm[Any]") -> None:
    """Adds the measurements of one image."""
    clock = time.monotonic if content.is_cuda else time.process_time

    def total(pixels: Tensor) -> Tensor:
        return module.loss.per_image(pixels, content).sum()

    figures.untouched.append(total(content).item())
    module.net(content)  # warm-up: the first pass allocates memory
    start = clock()
    made = module.net(content)
    made.sum().item()  # waits for the GPU
    figures.network_seconds.append(clock() - start)
    figures.network.append(total(made).item())
    seconds: list[float] = []
    start = clock()

    def record(_iteration: int, lowest: float) -> None:
        seconds.append(clock() - start)
        bar.set_postfix(loss=f"{lowest:.4g}", network=f"{figures.network[-1]:.4g}", refresh=False)
        bar.update()

    figures.gatys.append(optimize_pixels(total, content, iterations=iterations, on_iteration=record).losses)
    figures.gatys_seconds.append(seconds)


def table(figures: Measurements) -> list[str]:
    r"""The means over images, and the mean ratio of the network's loss to the one of the row.

    >>> found = Measurements(untouched=[1.0], network=[0.5], network_seconds=[0.1])
    >>> found.gatys, found.gatys_seconds = [[1.0, 0.4]], [[2.0, 4.0]]
    >>> print(*table(found), sep="\n")
                               loss  network / this     seconds
    image                     1.000            0.50
    network                   0.500            1.00        0.10
    Gatys, 2 iterations       0.400            1.25        4.00
    Gatys reaches the loss of the network after 2 iterations, which take 40 times as long
    """
    done = min(len(losses) for losses in figures.gatys)
    marks = [mark for mark in MARKS if mark < done] + [done]
    rows: list[tuple[str, list[float], float | None]] = [
        ("image", figures.untouched, None),
        ("network", figures.network, mean(figures.network_seconds)),
    ]
    for mark in marks:
        losses = [losses[mark - 1] for losses in figures.gatys]
        rows.append((f"Gatys, {mark} iterations", losses, mean(times[mark - 1] for times in figures.gatys_seconds)))
    lines = [f"{'':23}{'loss':>8}{'network / this':>16}{'seconds':>12}"]
    for name, losses, seconds in rows:
        ratio = mean(ours / theirs for ours, theirs in zip(figures.network, losses, strict=True))
        lines.append(f"{name:23}{mean(losses):8.3f}{ratio:16.2f}" + ("" if seconds is None else f"{seconds:12.2f}"))
    return [*lines, verdict(figures)]


def verdict(figures: Measurements) -> str:
    """States the median number of iterations after which Gatys' method reaches the network's loss."""
    reached = median_high(
        [
            next((n for n, loss in enumerate(losses, 1) if loss <= ours), len(losses) + 1)
            for ours, losses in zip(figures.network, figures.gatys, strict=True)
        ]
    )
    done = min(len(losses) for losses in figures.gatys)
    until = min(reached, done)
    faster = mean(times[until - 1] for times in figures.gatys_seconds) / mean(figures.network_seconds)
    if reached > done:
        return (
            f"Gatys does not reach the loss of the network in {done} iterations, which take {faster:.0f} times as long"
        )
    return f"Gatys reaches the loss of the network after {reached} iterations, which take {faster:.0f} times as long"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
