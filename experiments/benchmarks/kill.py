"""Kills training runs with SIGKILL at random moments, resumes them, and compares the results bit by bit.

    python -m experiments.benchmarks.kill

Runs are killed at steps, saves, stage boundaries, during validation and while the cache is filled; with one process and
two, with and without loader processes. Each kill is triggered by an event and delayed by a few random milliseconds.
All processes of a killed run must end by themselves, and the resumed run must end with the same weights, optimizer,
schedule and best score as an undisturbed one. Prints a table; ends with exit code 1 if a run differs.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from experiments.benchmarks.kill_run import (
    EVENTS_PER_RUN,
    TrainingRun,
    finish,
    kill_and_wait,
    wait_until,
    write_images,
)

SETTINGS = ((1, 0), (1, 2), (2, 0), (2, 2))  # processes, loader processes per rank
COMPARED = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "epoch", "global_step")
_MAX_DELAY_MS = 40


@dataclass(frozen=True, kw_only=True)
class Kill:
    """When and where a run is killed.

    Args:
        processes: ranks of the run.
        workers: loader processes per rank.
        event: key of ``EVENTS_PER_RUN``.
        count: kill at the n-th such event.
        rank: the rank that is killed.
        delay_ms: milliseconds between the event and the kill.
    """

    processes: int
    workers: int
    event: str
    count: int
    rank: int
    delay_ms: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of one kill.

    Args:
        step: global step of the newest checkpoint at the kill; ``None`` if there was none.
        seconds: until no process of the killed run was left.
        difference: first place where the resumed run differs from the undisturbed one; empty if it does not.
    """

    step: int | None
    seconds: float
    difference: str


def plan(kills: int, seed: int) -> list[Kill]:
    """Draws kills: every event equally often, over all settings."""
    generator = np.random.default_rng(seed)
    chosen = []
    for number in range(kills):
        event = list(EVENTS_PER_RUN)[number % len(EVENTS_PER_RUN)]
        processes, workers = SETTINGS[number // len(EVENTS_PER_RUN) % len(SETTINGS)]
        chosen.append(
            Kill(
                processes=processes,
                workers=workers,
                event=event,
                count=int(generator.integers(1, EVENTS_PER_RUN[event] + 1)),
                # the cache is filled before rank 1 starts
                rank=int(generator.integers(processes)) if event != "cache" else 0,
                delay_ms=float(generator.uniform(0, _MAX_DELAY_MS)),
            )
        )
    return chosen


def kill_and_resume(kills: Sequence[Kill], folder: Path) -> Iterator[Outcome]:
    """Trains undisturbed runs first, then kills and resumes one run per entry.

    Args:
        kills: what to do.
        folder: an empty folder.
    """
    write_images(folder / "images")
    undisturbed = {}
    for processes in sorted({kill.processes for kill in kills}):
        run = TrainingRun(folder=folder, name=f"whole-{processes}", processes=processes, workers=0)
        finish(run.start())
        undisturbed[processes] = run.last
    for number, kill in enumerate(kills):
        cache = f"kill-{number}" if kill.event == "cache" else "cache"
        run = TrainingRun(
            folder=folder, name=f"kill-{number}", processes=kill.processes, workers=kill.workers, cache=cache
        )
        yield _kill_and_resume(kill, run, torch.load(undisturbed[kill.processes], weights_only=True))


def _kill_and_resume(kill: Kill, run: TrainingRun, expected: dict[str, Any]) -> Outcome:
    process = run.start()
    wait_until(lambda: run.count(kill.event) >= kill.count, process)  # a run that is finished is resumed all the same
    time.sleep(kill.delay_ms / 1000)
    seconds = kill_and_wait(run.process_id(kill.rank) if kill.rank else process.pid, process)
    step = torch.load(run.last, weights_only=True)["global_step"] if run.last.exists() else None
    finish(run.start() if step is None else run.resume())
    folder = run.last.parents[1]
    difference = _difference(expected, torch.load(run.last, weights_only=True)) or _temporary_files(folder)
    if not difference:
        shutil.rmtree(folder)
    return Outcome(step=step, seconds=seconds, difference=difference)


def _difference(expected: dict[str, Any], resumed: dict[str, Any]) -> str:
    return next((where for key in COMPARED if (where := _first_difference(expected[key], resumed[key], key))), "")


def _first_difference(one: Any, other: Any, where: str) -> str:
    """Names the first place where two checkpoints differ by a bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return where
        found = (_first_difference(one[key], other[key], f"{where}/{key}") for key in one)
        return next((place for place in found if place), "")
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        found = (_first_difference(a, b, f"{where}/{index}") for index, (a, b) in pairs)
        return next((place for place in found if place), "")
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return "" if same else where


def _temporary_files(run: Path) -> str:
    return ", ".join(sorted(file.name for file in run.rglob(".*")))


def table(kills: Sequence[Kill], outcomes: Sequence[Outcome]) -> str:
    """One line per kill."""
    lines = ["  # | processes | loaders | killed at                   | newest step | all ended after | resumed run"]
    lines.append("|".join("-" * width for width in (4, 11, 9, 29, 13, 17, 12)))
    for number, (kill, outcome) in enumerate(zip(kills, outcomes, strict=True), start=1):
        where = f"{kill.event} {kill.count} + {kill.delay_ms:.0f} ms, rank {kill.rank}"
        step = "none" if outcome.step is None else outcome.step
        lines.append(
            f"{number:3} | {kill.processes:9} | {kill.workers:7} | {where:27} | {step:>11} | "
            f"{outcome.seconds:13.1f} s | {outcome.difference or 'equal'}"
        )
    return "\n".join(lines)


def main() -> int:
    """Kills, resumes, compares and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of events and delays")
    args = parser.parse_args()
    kills = plan(args.kills, args.seed)
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    outcomes = list(tqdm(kill_and_resume(kills, folder), total=len(kills), unit="kill"))
    print(table(kills, outcomes))
    if any(outcome.difference for outcome in outcomes):
        print(f"runs that ended differently are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
