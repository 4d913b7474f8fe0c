"""Kills runs with ``kill -9`` at random moments and resumes them: every one has to end as if nothing had happened.

Steps, saves, stage boundaries, validation and cache building; one process and two, with and without loader processes.
The moment comes from what the run does, and a few random milliseconds on top of it. Afterwards everything that the
killed process started has to end by itself, and the resumed run to the last bit as the whole one: weights, optimiser,
schedule, best score. Prints a table.

    python -m experiments.benchmarks.kill
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tqdm import tqdm

from experiments.benchmarks.kill_parts import IMAGES, draw

RUN = Path(__file__).parents[1] / "run.py"
SETTINGS = ((1, 0), (1, 2), (2, 0), (2, 2))  # processes, loader processes of each
#: Moments, and how often each comes in a whole run: 3 stages of 2 epochs of 5 steps, saved every third step.
OFTEN = {"step": 30, "save": 12, "boundary": 3, "validation": 6, "cache": 4 * IMAGES - 1}
COMPARED = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "epoch", "global_step")
_PATIENCE = 1800.0
_AFTER_MS = 40


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill.

    Args:
        processes: of the run.
        workers: loader processes of each.
        moment: key of ``OFTEN``.
        count: the how manieth of them.
        victim: number of the process that is killed.
        after_ms: milliseconds after the moment.
    """

    processes: int
    workers: int
    moment: str
    count: int
    victim: int
    after_ms: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it.

    Args:
        step: that the newest checkpoint had then; ``None`` where there was none.
        ended: seconds until nothing of the killed run was left.
        different: what differs from the whole run; empty where nothing does.
    """

    step: int | None
    ended: float
    different: str


def plan(kills: int, seed: int) -> list[Kill]:
    """Draws moments, every kind of them equally often, over all settings."""
    draw_one = np.random.default_rng(seed)
    chosen = []
    for number in range(kills):
        moment = list(OFTEN)[number % len(OFTEN)]
        processes, workers = SETTINGS[number // len(OFTEN) % len(SETTINGS)]
        chosen.append(
            Kill(
                processes=processes,
                workers=workers,
                moment=moment,
                count=int(draw_one.integers(1, OFTEN[moment] + 1)),
                # the other process is not known before they meet, and caches are built before that
                victim=int(draw_one.integers(processes)) if moment != "cache" else 0,
                after_ms=float(draw_one.uniform(0, _AFTER_MS)),
            )
        )
    return chosen


def carry_out(kills: Sequence[Kill], folder: Path) -> Iterator[Outcome]:
    """Trains whole runs first, then kills and resumes one run after the other.

    Args:
        kills: what to do.
        folder: an empty one.
    """
    draw(folder / "images")
    wholes = {}
    for processes in sorted({kill.processes for kill in kills}):
        name = f"whole-{processes}"
        _finish(_start(folder, name, processes=processes, workers=0, cache="cache"))
        wholes[processes] = _last(folder, name)
    for number, kill in enumerate(kills):
        yield _carry_out(kill, folder, f"kill-{number}", torch.load(wholes[kill.processes], weights_only=True))


def _carry_out(kill: Kill, folder: Path, name: str, whole: dict[str, Any]) -> Outcome:
    cache = name if kill.moment == "cache" else "cache"
    options: dict[str, Any] = {"processes": kill.processes, "workers": kill.workers, "cache": cache}
    run = _start(folder, name, **options)
    _wait(run, lambda: _happened(folder, name, kill.moment) >= kill.count)
    time.sleep(kill.after_ms / 1000)
    killed = time.monotonic()
    os.kill(_process(folder, name, kill.victim) if kill.victim else run.pid, signal.SIGKILL)
    run.wait(_PATIENCE)
    while group_lives(run.pid):
        if time.monotonic() - killed > _PATIENCE:
            raise TimeoutError(f"processes of {name} outlive it")
        time.sleep(0.01)
    ended = time.monotonic() - killed
    last = _last(folder, name)
    step = torch.load(last, weights_only=True)["global_step"] if last.exists() else None
    _finish(_start(folder, name, **options) if step is None else _resume(folder, name))
    different = _difference(whole, torch.load(last, weights_only=True)) or _leftovers(last.parents[1])
    if not different:
        shutil.rmtree(last.parents[1])
    return Outcome(step=step, ended=ended, different=different)


def _start(folder: Path, name: str, *, processes: int, workers: int, cache: str) -> subprocess.Popen[bytes]:
    stage = {"batch_size": 2, "epochs": 2, "lr": 1e-2}
    settings = {
        "model": {"net": {"class_path": "experiments.benchmarks.kill_parts.SmallNet"}},
        "data": {
            "class_path": "datamodules.FolderDataModule",
            "init_args": {"root": "images", "cache_dir": cache, "num_workers": workers},
        },
        "stages": [
            {"name": "small head", "size": 16, "frozen": "encoder", **stage},
            {"name": "small all", "size": 16, "lr_scale": [0.1, 1.0], **stage},
            {"name": "large all", "size": 24, **stage},
        ],
        "checkpoint": {"every_n_steps": 3},
        "trainer": {
            "accelerator": "cpu",
            "devices": processes,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "callbacks": [
                {"class_path": "experiments.benchmarks.kill_parts.Moments", "init_args": {"path": f"{name}.moments"}}
            ],
        },
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return _run(folder, name, "--name", name, "--config", f"{name}.yaml")


def _resume(folder: Path, name: str) -> subprocess.Popen[bytes]:
    return _run(folder, name, "--resume", f"runs/segment/{name}")


def _run(folder: Path, name: str, *words: str) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(RUN), "--task", "segment", "--trust-config", *words],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _finish(run: subprocess.Popen[bytes]) -> None:
    if code := run.wait(_PATIENCE):
        raise RuntimeError(f"a run that nobody killed ended with {code}: {run.args!r}")


def _wait(run: subprocess.Popen[bytes], happened: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not happened():
        if run.poll() is not None:
            return  # it was quicker than its killer: resuming it says that it is finished
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happens in {run.args!r}")
        time.sleep(0.0005)


def _happened(folder: Path, name: str, moment: str) -> int:
    """How often a moment came: lines of the callback's, or copies in the cache."""
    if moment == "cache":
        return sum(1 for _ in (folder / name / "images").rglob("*.npy"))
    return _told(folder, name).count(moment)


def _process(folder: Path, name: str, rank: int) -> int:
    return next(int(line.split()[1]) for line in _told(folder, name) if line.startswith(f"rank{rank} "))


def _told(folder: Path, name: str) -> list[str]:
    try:
        return (folder / f"{name}.moments").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []


def group_lives(group: int) -> bool:
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _last(folder: Path, name: str) -> Path:
    return folder / "runs" / "segment" / name / "checkpoints" / "last.ckpt"


def _difference(whole: dict[str, Any], resumed: dict[str, Any]) -> str:
    return next((where for part in COMPARED if (where := _differs(whole[part], resumed[part], part))), "")


def _differs(one: Any, other: Any, where: str) -> str:
    """Names the first place where two checkpoints differ by a bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return where
        found = (_differs(one[key], other[key], f"{where}/{key}") for key in one)
        return next((place for place in found if place), "")
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        found = (_differs(a, b, f"{where}/{i}") for i, (a, b) in enumerate(zip(one, other, strict=True)))
        return next((place for place in found if place), "")
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return "" if same else where


def _leftovers(run: Path) -> str:
    return ", ".join(sorted(file.name for file in run.rglob(".*")))


def table(kills: Sequence[Kill], outcomes: Sequence[Outcome]) -> str:
    """Writes one line a kill."""
    lines = ["  # | processes | loaders | killed                      | newest step | all ended after | resumed end"]
    lines.append(
        "----|-----------|---------|-----------------------------|-------------|-----------------|------------"
    )
    for number, (kill, outcome) in enumerate(zip(kills, outcomes, strict=True), start=1):
        where = f"{kill.moment} {kill.count} + {kill.after_ms:.0f} ms, rank {kill.victim}"
        step = "none" if outcome.step is None else outcome.step
        end = outcome.different or "equal"
        lines.append(
            f"{number:3} | {kill.processes:9} | {kill.workers:7} | {where:27} | {step:>11} | {outcome.ended:13.1f} s | "
            f"{end}"
        )
    return "\n".join(lines)


def main() -> int:
    """Kills, resumes, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    kills = plan(args.kills, args.seed)
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    outcomes = list(tqdm(carry_out(kills, folder), total=len(kills), unit="kill"))
    print(table(kills, outcomes))
    if any(outcome.different for outcome in outcomes):
        print(f"runs that ended differently lie in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
