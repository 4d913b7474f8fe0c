"""Compares the throughput of two processes with one thread each with that of one process with two threads.

    python -m experiments.benchmarks.processes [--tasks segment sr style] [--rounds 5] [--steps 40]

Runs the sample recipes on two cores, in one stage with the same global batch, and compares medians. The two settings
take turns so that other load affects both. Images are loaded in the training processes. Ends with exit code 1 if two
processes reach less than 0.95 of the speed of one; 0.85 for segmentation, whose decoder has many parameters to
all-reduce after few operations.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tqdm import tqdm

from experiments.benchmarks.throughput import TASKS, seconds_per_step

REQUIRED = {"segment": 0.85, "sr": 0.95, "style": 0.95}
#: (processes, threads of each)
SETTINGS = ((1, 2), (2, 1))


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.processes", description="Processes against threads.")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="tasks to measure")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each setting")
    parser.add_argument("--steps", type=int, default=40, help="steps per run, three of them to warm up")
    parser.add_argument("--batch", type=int, default=8, help="images per step")
    options = parser.parse_args(argv)
    print(f"images per second, medians of {options.rounds} runs of {options.steps} steps, batch {options.batch}")
    print(f"{'task':<10}{'1 process x 2':>15}{'2 processes x 1':>17}{'ratio':>8}{'required':>10}")
    reached = []
    for task in options.tasks:
        speeds = measure(task, rounds=options.rounds, steps=options.steps, batch=options.batch)
        one, two = (median(speeds[setting]) for setting in SETTINGS)
        reached.append(two / one >= REQUIRED[task])
        print(f"{task:<10}{one:>15.2f}{two:>17.2f}{two / one:>8.2f}{REQUIRED[task]:>10.2f}", flush=True)
    return 0 if all(reached) else 1


def measure(task: str, *, rounds: int, steps: int, batch: int) -> dict[tuple[int, int], list[float]]:
    """Images per second of each setting, one value per round."""
    speeds: dict[tuple[int, int], list[float]] = {setting: [] for setting in SETTINGS}
    for _ in tqdm(range(rounds), desc=task, unit="round", leave=False):
        for processes, threads in SETTINGS:
            with tempfile.TemporaryDirectory() as folder:
                seconds = seconds_per_step(
                    task, folder=Path(folder), processes=processes, threads=threads, batch=batch, steps=steps
                )
            speeds[processes, threads].append(batch / seconds)
    return speeds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
