"""How near a trained style network comes to Gatys' method, and how much faster it is.

    python -m experiments.benchmarks.style_gatys [--images 4] [--iterations 500] [options of run.py]

Options that are not its own are those of ``run.py --task style``: ``--ckpt_path FILE`` or ``--name RUN`` (the best
checkpoint of the newest run where neither is given), ``--data.root FOLDER``, ``--trainer.accelerator gpu`` and so on.
Both sides get the same held-out images and the same loss; Gatys' method starts from the image and changes
its pixels by L-BFGS. Johnson et al. 2016 (figure 5) find their networks at Gatys' loss of 50 to 100 iterations.
Time is the processor's on a CPU, so that a busy machine counts less, and the clock's on a GPU.
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
from datamodules.loading.randomness import Key
from experiments.cli.arguments import read_arguments
from experiments.cli.expected import MISTAKES
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.style import StyleModule
from models.style.gatys import paint

MARKS = (100, 300, 500)


@dataclass(kw_only=True)
class Figures:
    """What was measured on each image.

    Args:
        untouched: loss of the image.
        network: loss of the network's image.
        network_seconds: time of its forward pass.
        gatys: the lowest loss up to each iteration.
        gatys_seconds: time up to each iteration.
    """

    untouched: list[float] = field(default_factory=list)
    network: list[float] = field(default_factory=list)
    network_seconds: list[float] = field(default_factory=list)
    gatys: list[list[float]] = field(default_factory=list)
    gatys_seconds: list[list[float]] = field(default_factory=list)


def main(argv: Sequence[str]) -> int:
    """Prints the table; see the head of this file."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.style_gatys", description="Network against Gatys.")
    parser.add_argument("--images", type=int, default=4, help="held-out images")
    parser.add_argument("--iterations", type=int, default=max(MARKS), help="of Gatys' method, for each image")
    options, rest = parser.parse_known_args(argv)
    try:
        context = build_context(make_plan(read_arguments(["--task", "style", "test", *rest])))
        contents = held_out(context, options.images)
    except MISTAKES as error:
        print(f"style_gatys: {error}", file=sys.stderr)
        return 2
    module = cast(StyleModule, context.model)
    device = context.trainer.strategy.root_device
    module.to(device).eval().requires_grad_(False)
    module.loss.load()
    figures = Figures()
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
    """The first held-out images as the stage's validation sees them, (3, S, S) each."""
    context.datamodule.prepare(context.stages)
    context.datamodule.setup("test")
    data = context.datamodule.val_set(context.stage)
    return [data[Key(0, index)]["content"] for index in range(min(count, length_of(data)))]


def measure(figures: Figures, module: StyleModule, content: Tensor, *, iterations: int, bar: "tqdm[Any]") -> None:
    """Puts one image's figures to the others."""
    clock = time.monotonic if content.is_cuda else time.process_time

    def total(pixels: Tensor) -> Tensor:
        return module.loss.per_image(pixels, content).sum()

    figures.untouched.append(total(content).item())
    module.net(content)  # the first pass also allocates memory
    start = clock()
    made = module.net(content)
    made.sum().item()  # a GPU works on by itself until it is asked
    figures.network_seconds.append(clock() - start)
    figures.network.append(total(made).item())
    seconds: list[float] = []
    start = clock()

    def note(_iteration: int, lowest: float) -> None:
        seconds.append(clock() - start)
        bar.set_postfix(loss=f"{lowest:.4g}", network=f"{figures.network[-1]:.4g}", refresh=False)
        bar.update()

    figures.gatys.append(paint(total, content, iterations=iterations, on_iteration=note).losses)
    figures.gatys_seconds.append(seconds)


def table(figures: Figures) -> list[str]:
    r"""Writes the means over images, and how the network's loss compares with Gatys' on each.

    >>> found = Figures(untouched=[1.0], network=[0.5], network_seconds=[0.1])
    >>> found.gatys, found.gatys_seconds = [[1.0, 0.4]], [[2.0, 4.0]]
    >>> print(*table(found), sep="\n")
                               loss  network / this     seconds
    image                     1.000            0.50
    network                   0.500            1.00        0.10
    Gatys, 2 iterations       0.400            1.25        4.00
    Gatys is where the network is after 2 iterations, which take 40 times as long
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


def verdict(figures: Figures) -> str:
    """Says after how many iterations Gatys' method is where the network is, in the median of the images."""
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
        return f"Gatys is not where the network is after {done} iterations, which take {faster:.0f} times as long"
    return f"Gatys is where the network is after {reached} iterations, which take {faster:.0f} times as long"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
