"""Measures the peak memory of a training step of the U-Net: in float32, in bfloat16, and with activation checkpointing.

    python -m experiments.benchmarks memory [--size 1024] [--batch 1]

Each form is a process of its own, whose peak memory (Linux and macOS: largest resident set; on a GPU: what torch has
allocated) is compared after what it used before its step was subtracted: network and optimizer, so that activations and
gradients remain. Times of single steps are printed too; bfloat16 is slow on CPUs without its instructions.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from experiments.benchmarks.interleave import MISSED, machine
from experiments.benchmarks.train_step import device, train_step
from models.segmentation.unet import UNet

FLOAT, HALF = "32-true", "bf16-mixed"
#: Precision, whether activations are checkpointed, and the goal: memory relative to float32.
FORMS: dict[str, tuple[str, bool, float | None]] = {
    "float32": (FLOAT, False, None),
    "float32, checkpointing": (FLOAT, True, None),
    "bfloat16": (HALF, False, 0.56),
    "bfloat16, checkpointing": (HALF, True, 0.35),
}
#: Goal of checkpointing: time of a step relative to the same without.
_TIME = 1.5


def main(argv: Sequence[str]) -> int:
    """Prints the table; 0 if all goals are met, 1 if one is missed."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks memory", description="Memory of a step.")
    parser.add_argument("--size", type=int, default=1024, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=1, help="images of the step")
    parser.add_argument("--steps", type=int, default=3, help="steps of each form; the fastest one is printed")
    parser.add_argument("--form", choices=FORMS, help="measure one form in this process and print it as JSON")
    options = parser.parse_args(argv)
    if options.form:
        print(json.dumps(measure(options)))
        return 0
    print(machine("torchvision"))
    found = {}
    for form in FORMS:
        command = [sys.executable, "-m", "experiments.benchmarks.memory", "--form", form]
        command += ["--size", str(options.size), "--batch", str(options.batch), "--steps", str(options.steps)]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
        found[form] = json.loads(done.stdout.splitlines()[-1])
    return report(found, title=f"U-Net, MobileNetV2, {options.size} px, batch {options.batch}")


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Runs the steps of one form: bytes beyond those in use before, and seconds of the fastest step."""
    torch.set_num_threads(1)
    options.precision, checkpointing, _ = FORMS[options.form]
    net = UNet(encoder="mobilenet_v2", pretrained="none", checkpointing=checkpointing)
    small, size = (torch.rand(options.batch, 3, side, side, device=device()) for side in (64, options.size))

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), torch.zeros_like(logits, dtype=torch.float32))

    train_step(net, small.repeat(2, 1, 1, 1), loss, options)()  # loads kernels
    before, step, seconds = peak_bytes(), train_step(net, size, loss, options), []
    for _ in range(options.steps):
        start = time.process_time()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.process_time() - start)
    return {"bytes": peak_bytes() - before, "seconds": min(seconds)}


def peak_bytes() -> int:
    """The largest memory of this process so far."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def report(found: dict[str, dict[str, float]], *, title: str) -> int:
    """Prints memory and time of all forms with their goals; returns the exit code."""
    print(f"{title}\n{'':26}{'MB':>8}{'of float32':>12}{'s a step':>10}")
    missed, whole = False, found["float32"]["bytes"]
    for form, values in found.items():
        share, goal = values["bytes"] / whole, FORMS[form][2]
        line = f"{form:26}{values['bytes'] / 1e6:8.0f}{share:12.2f}{values['seconds']:10.2f}"
        if goal is not None:
            missed |= share > goal
            line += f", goal {goal:g}: {'met' if share <= goal else 'MISSED'}"
        print(line)
    for plain in ("float32", "bfloat16"):
        factor = found[f"{plain}, checkpointing"]["seconds"] / found[plain]["seconds"]
        missed |= factor > _TIME
        verdict = "met" if factor <= _TIME else "MISSED"
        print(f"checkpointing, {plain}: {factor:.2f} of the time, goal {_TIME:g}: {verdict}")
    return MISSED if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
