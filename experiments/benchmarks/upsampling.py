"""Compares the three kinds of upsampling of ``SrResnet``: pixel shuffle, nearest + convolution, transposed convolution.

    python -m experiments.benchmarks.upsampling [--root IMAGES] [--epochs 4] [--size 40] [--out upsampling]

Each kind trains with the recipe ``sample`` at 2x from the same seed on the same patches. The table has the number of
parameters, the median time of a training step (the kinds take turns, one core), the L1 loss and PSNR of the held-out
images, and the checkerboard amplitude on flat images (see ``flat_images``) before and after training. ``OUT.png`` shows
a flat gray result of each, with the contrast raised.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from callbacks.output_file import output_file
from experiments import fit
from experiments.benchmarks.flat_images import checkerboard_amplitude
from experiments.cli.main import main as run_program
from experiments.runs.trained_module import trained_module
from lightning_modules.super_resolution import SuperResolutionModule
from models.super_resolution.sr_resnet import SrResnet, Upsample
from models.super_resolution.upsampling import SubpixelUpsample, icnr_

KINDS: tuple[Upsample, ...] = ("pixel_shuffle", "nearest", "transposed")
_ROUNDS = 9
_SIDE = 32  # of the flat image, in pixels of the input
_CONTRAST = 32.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """Results of one kind.

    Args:
        kind: value of ``--model.net.upsample``.
        parameters: number of trained values.
        seconds: median time of a training step.
        loss: L1 of the held-out images in [0, 1].
        psnr: of the held-out images, in dB.
        untrained: checkerboard amplitude before training, in gray levels.
        trained: the same after training.
    """

    kind: Upsample
    parameters: int
    seconds: float
    loss: float
    psnr: float
    untrained: float
    trained: float


def main(argv: Sequence[str]) -> int:
    """Trains, prints the table and writes the figure."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.upsampling", description="Kinds of upsampling.")
    parser.add_argument("--root", type=Path, help="folder of images; scikit-image's samples without it")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the one stage")
    parser.add_argument("--crops", type=int, default=32, help="patches of each image in one epoch")
    parser.add_argument("--size", type=int, default=40, help="side of the small patches in pixels")
    parser.add_argument("--out", type=Path, default=Path("upsampling"), help="folder of runs and figure")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    seconds = step_seconds(options.size)
    rows, flats = [], []
    for kind in KINDS:
        stage = {"name": "2x", "scale": 2, "size": options.size, "batch_size": 8, "epochs": options.epochs}
        run = fit(
            "sr",
            data=options.root,
            name=kind,
            runs=options.out,
            stages=[stage | {"lr": 1e-3, "warmup": 0.1}],
            options={"model.net.upsample": kind, "data.crops": options.crops, "model.lpips": "none"},
        )
        words = ["--task", "sr", "validate", "--ckpt_path", str(run.checkpoint), "--runs", str(options.out)]
        if run_program(words) != 0:
            return 1
        scores = json.loads((run.folder / "validate.json").read_text(encoding="utf-8"))["scores"]
        module = trained_module("sr", run.checkpoint, SuperResolutionModule)
        fresh = untrained(kind)
        rows.append(
            Row(
                kind=kind,
                parameters=sum(parameter.numel() for parameter in fresh.parameters()),
                seconds=seconds[kind],
                loss=scores["val/loss"],
                psnr=scores["val/psnr"],
                untrained=checkerboard_amplitude(fresh.eval(), scale=2),
                trained=checkerboard_amplitude(module, scale=2),
            )
        )
        flats.append(flat_result(module))
    print("\n".join(table(rows)))
    figure = options.out / "upsampling.png"
    with output_file(figure) as file:
        Image.fromarray(np.concatenate(flats, axis=1)).save(file, "PNG")
    print(f"figure: {figure} ({', '.join(KINDS)}; contrast raised {_CONTRAST:g} times)")
    return 0


def untrained(kind: Upsample) -> SrResnet:
    """Returns the network of the recipe ``sample`` for 2x as ``fit`` starts it: with ICNR before a pixel shuffle."""
    torch.manual_seed(0)
    net = SrResnet(width=64, blocks=8, max_scale=2, upsample=kind)
    for part in net.modules():
        if isinstance(part, SubpixelUpsample):
            icnr_(part.conv, part.scale)
    return net


def step_seconds(size: int) -> dict[Upsample, float]:
    """Measures a training step of every kind in turn; median of the rounds after the first."""
    nets = {kind: untrained(kind) for kind in KINDS}
    taken: dict[Upsample, list[float]] = {kind: [] for kind in KINDS}
    low, high = torch.rand(8, 3, size, size), torch.rand(8, 3, 2 * size, 2 * size)
    for number in range(_ROUNDS + 1):
        for kind, net in nets.items():
            start = time.perf_counter()
            F.l1_loss(net(low), high).backward()
            net.zero_grad()
            if number > 0:
                taken[kind].append(time.perf_counter() - start)
    return {kind: median(values) for kind, values in taken.items()}


@torch.no_grad()
def flat_result(module: SuperResolutionModule) -> NDArray[np.uint8]:
    """Returns the result for a flat gray image, its deviation from the mean raised, 4 times enlarged, with a frame."""
    made: Tensor = module(torch.full((1, 3, _SIDE, _SIDE), 0.5)).float()[0]
    raised = (0.5 + _CONTRAST * (made - made.mean(dim=(1, 2), keepdim=True))).clamp(0, 1)
    pixels = raised.repeat_interleave(4, 1).repeat_interleave(4, 2).permute(1, 2, 0).mul(255).round()
    return np.pad(pixels.numpy().astype(np.uint8), ((4, 4), (4, 4), (0, 0)), constant_values=255)


def table(rows: Sequence[Row]) -> list[str]:
    """Formats the rows, times as a ratio to the first one's too."""
    lines = [
        f"one core, torch {torch.__version__}, batch 8, medians of {_ROUNDS} rounds",
        f"{'upsampling':16}{'parameters':>12}{'s per step':>12}{'ratio':>8}{'loss':>9}{'PSNR':>8}{'checkerboard':>14}",
        f"{'':16}{'':>12}{'':>12}{'':>8}{'':>9}{'':>8}{'before, after':>14}",
    ]
    return lines + [
        f"{row.kind:16}{row.parameters:12,}{row.seconds:12.3f}{row.seconds / rows[0].seconds:8.2f}"
        f"{row.loss:9.5f}{row.psnr:8.2f}{row.untrained:7.2f}{row.trained:7.2f}"
        for row in rows
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
