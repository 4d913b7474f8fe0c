"""What two processes of one thread train in a second, beside one process of two threads.

    python -m experiments.benchmarks.processes [--tasks segment sr style] [--rounds 5] [--steps 40]

Real runs of the sample recipes on two cores, in one stage, the same global batch; the two ways take turns, so that a
busy machine slows both, and the medians are compared. Loading is done in the training processes. Ends with exit code 1
if two processes reach less of one process' speed than is wanted: 0.95 of it, for segmentation 0.85, whose decoder's
many parameters have to be exchanged after few operations.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tqdm import tqdm

from experiments.benchmarks.throughput import TASKS, seconds_a_step

WANTED = {"segment": 0.85, "sr": 0.95, "style": 0.95}
#: (processes, threads of each)
WAYS = ((1, 2), (2, 1))


def main(argv: Sequence[str]) -> int:
    """Prints the table; see the head of this file."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.processes", description="Processes against threads.")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="which")
    parser.add_argument("--rounds", type=int, default=5, help="how often the two ways take turns")
    parser.add_argument("--steps", type=int, default=40, help="steps of a run, three of them to warm up")
    parser.add_argument("--batch", type=int, default=8, help="images a step")
    options = parser.parse_args(argv)
    print(f"images a second, medians of {options.rounds} runs of {options.steps} steps, batch {options.batch}")
    print(f"{'task':<10}{'1 process x 2':>15}{'2 processes x 1':>17}{'ratio':>8}{'wanted':>8}")
    reached = []
    for task in options.tasks:
        speeds = measure(task, rounds=options.rounds, steps=options.steps, batch=options.batch)
        one, two = (median(speeds[way]) for way in WAYS)
        reached.append(two / one >= WANTED[task])
        print(f"{task:<10}{one:>15.2f}{two:>17.2f}{two / one:>8.2f}{WANTED[task]:>8.2f}", flush=True)
    return 0 if all(reached) else 1


def measure(task: str, *, rounds: int, steps: int, batch: int) -> dict[tuple[int, int], list[float]]:
    """Images a second of each way, one figure a round."""
    speeds: dict[tuple[int, int], list[float]] = {way: [] for way in WAYS}
    for _ in tqdm(range(rounds), desc=task, unit="round", leave=False):
        for processes, threads in WAYS:
            with tempfile.TemporaryDirectory() as folder:
                seconds = seconds_a_step(
                    task, folder=Path(folder), processes=processes, threads=threads, batch=batch, steps=steps
                )
            speeds[processes, threads].append(batch / seconds)
    return speeds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
