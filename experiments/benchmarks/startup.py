"""Measures the start of the commands: the short help, ``predict`` of one small image, loading in Python, and ``fit``.

    python -m experiments.benchmarks startup [--rounds 7]

Each form is a new process with one thread. The processor time of the process is measured, which is the time on an idle
core, apart from reading files that are not in memory. ``fit`` trains the sample recipe of segmentation until its first
step has been taken; the sample images are drawn and cached before. The floor is the import of Lightning, which imports
torch, its compiler, torchvision, SciPy and Matplotlib: all forms but the help contain it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from lightning import Callback
from PIL import Image
from tqdm import tqdm

from experiments.benchmarks.interleave import MISSED, UNCLEAR, add_arguments, machine

ROOT = Path(__file__).parents[2]
_RUN = [sys.executable, str(ROOT / "experiments" / "run.py")]
FLOOR, HELP, PREDICT, LOAD, FIT = "import lightning", "--help", "predict", "load in Python", "fit to its first step"
#: Seconds of processor time.
GOALS = {HELP: 1.0, PREDICT: 4.0, LOAD: 6.0, FIT: 6.0}
_LOAD = "import experiments as darkroom; darkroom.load('sr-2x')('large.png')"
_ROUNDS = 7


class FirstStep(Callback):
    """Ends the process after the first step."""

    def on_train_batch_end(self, *_: Any) -> None:
        """Ends without cleaning up, which is not part of the measurement."""
        os._exit(0)


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.startup", description="Start of the commands.")
    add_arguments(parser)
    options = parser.parse_args(argv)
    print(machine("torchvision", "lightning", "torchmetrics", "jsonargparse"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, side in (("small.png", 128), ("large.png", 512)):
            Image.radial_gradient("L").convert("RGB").resize((side, side)).save(folder / file)
        forms = commands()
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        for number in tqdm(range(1 + (options.rounds or _ROUNDS)), desc="measuring", unit="round", leave=False):
            for form, command in forms.items():
                taken = processor_seconds(command, folder)
                if number:  # the first round fills the caches
                    seconds[form].append(taken)
    return report(seconds, max_spread=options.max_spread)


def commands() -> dict[str, list[str]]:
    """The command of each form."""
    return {
        FLOOR: [sys.executable, "-c", "import lightning.pytorch"],
        HELP: [*_RUN, "--help"],
        PREDICT: [*_RUN, "--task", "sr", "predict", "--net", "sr-2x", "small.png", "--out", "out"],
        LOAD: [sys.executable, "-c", _LOAD],
        FIT: [
            *_RUN,
            *("--task", "segment", "--trust-config", "--trainer.accelerator", "cpu"),
            "--trainer.callbacks+=experiments.benchmarks.startup.FirstStep",
        ],
    }


def processor_seconds(command: Sequence[str], folder: Path) -> float:
    """Runs a command to its end and returns its processor time; on Windows, where that is not known, the wall time.

    Raises:
        RuntimeError: if the command fails.
    """
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    wall, before = time.perf_counter(), os.times()
    done = subprocess.run(command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - wall, os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    taken = after.children_user + after.children_system - before.children_user - before.children_system
    return wall if os.name == "nt" else taken


def report(seconds: Mapping[str, Sequence[float]], *, max_spread: float) -> int:
    """Prints the times with their goals and returns the exit code."""
    code = 0
    print(f"seconds of processor time, {len(seconds[FLOOR])} rounds\n{'':24}{'median':>8}   (quartiles)")
    for form, values in seconds.items():
        low, middle, high = quantiles(values, n=4, method="inclusive")
        line = f"{form:24}{middle:8.2f}   ({low:.2f} to {high:.2f})"
        if (goal := GOALS.get(form)) is not None:
            wide = high - low > max_spread * middle
            line += f", goal {goal:g}: {'SPREAD TOO WIDE' if wide else 'met' if middle <= goal else 'MISSED'}"
            code = max(code, UNCLEAR if wide else 0 if middle <= goal else MISSED)
        print(line)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
