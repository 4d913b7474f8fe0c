"""Compares training steps with those of other projects.

    python -m experiments.benchmarks step [style | style-loss | unet | unet34 | sr ...] [--precision 32-true]

Each part is described in its module: ``style_step``, ``unet_step``, ``sr_step``. Without a name all are run. A step is
forward, loss and backward on random images, on one core or one GPU; weights are random, which takes as long.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import torch

from experiments.benchmarks.interleave import add_arguments, machine
from experiments.benchmarks.sr_step import sr_step
from experiments.benchmarks.style_step import style_loss_step, style_step
from experiments.benchmarks.unet_step import unet34_step, unet_step

PARTS: dict[str, Callable[[argparse.Namespace], int]] = {
    "style": style_step,
    "style-loss": style_loss_step,
    "unet": unet_step,
    "unet34": unet34_step,
    "sr": sr_step,
}


def main(argv: Sequence[str]) -> int:
    """Prints a table for each part; returns the largest of their exit codes."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks step", description="Time of training steps.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all without")
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    add_arguments(parser)
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(machine("torchvision"))
    return max(PARTS[name](options) for name in options.parts or PARTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
