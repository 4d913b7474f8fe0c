"""Measures several forms of the same work in turns, and compares them inside each round.

    measured = interleave({"ours": step, "peer": peer_step}, options=options)
    print(machine("torch", "timm"))
    return report("step", measured, [Goal("ours", "peer", 1.2)], options=options)

All forms run in one process, A B C A B C, so that other load affects all of them. A ratio is formed inside each round;
printed are medians with their quartiles. Exit codes: 0 if all goals are met, 1 if one is missed, 3 if the ratios are
spread too widely to tell.
"""

import argparse
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal

import torch
from tqdm import tqdm

from experiments.benchmarks.machine import machine

__all__ = ["Goal", "Measured", "add_arguments", "interleave", "machine", "report"]

MISSED, UNCLEAR = 1, 3
_LEAST = 7  # rounds

Clock = Literal["wall", "processor"]


@dataclass(frozen=True)
class Goal:
    """A form is to be ``factor`` times as fast as another, or faster.

    Args:
        form: name of the form.
        base: name of the form that it is compared with.
        factor: time of ``base`` divided by that of ``form``, at least.
    """

    form: str
    base: str
    factor: float


@dataclass(frozen=True)
class Measured:
    """Seconds of every form, one value per round."""

    seconds: Mapping[str, Sequence[float]]

    def times_as_fast(self, form: str, base: str) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the ratios of the rounds: time of ``base`` over ``form``.

        >>> Measured({"a": [1.0, 1.0, 2.0], "b": [2.0, 3.0, 8.0]}).times_as_fast("a", "b")
        (2.5, 3.0, 3.5)
        """
        pairs = zip(self.seconds[base], self.seconds[form], strict=True)
        low, middle, high = quantiles([other / own for other, own in pairs], n=4, method="inclusive")
        return low, middle, high


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the number of rounds and the largest spread."""
    parser.add_argument("--rounds", type=_rounds, help="measurements of each form, 7 or more; default: 7, 100 on a GPU")
    parser.add_argument(
        "--max_spread",
        type=float,
        default=0.15,
        help="largest distance between the quartiles of a ratio, as a fraction of its median; beyond it, exit code 3",
    )


def interleave(
    forms: Mapping[str, Callable[[], object]],
    *,
    options: argparse.Namespace,
    clock: Clock = "wall",
    device: torch.device | str = "cpu",
    repeats: Mapping[str, int] | None = None,
    title: str = "measuring",
) -> Measured:
    """Calls the forms in turns and measures each call.

    Args:
        forms: functions without arguments by name, in their order within a round.
        options: of ``add_arguments``.
        clock: ``"wall"``, or ``"processor"`` for the time of this process on all cores, which other load affects less.
            On a GPU the time between two events is measured.
        device: on which the forms work. The first round on a CPU, and the first 20 on a GPU, are not counted.
        repeats: calls of a form per measurement, whose time is divided by them; 1 by default.
        title: of the progress bar.
    """
    cuda = torch.device(device).type == "cuda"
    warm_up = 20 if cuda else 1
    rounds = options.rounds or (100 if cuda else _LEAST)
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    gc.freeze()  # the collections below need not search what exists already
    try:
        for number in tqdm(range(warm_up + rounds), desc=title, unit="round", leave=False):
            for name, form in forms.items():
                gc.collect()  # otherwise one form may pay for the garbage of another
                calls = (repeats or {}).get(name, 1)
                taken = _gpu_seconds(form, calls) if cuda else _cpu_seconds(form, calls, clock)
                if number >= warm_up:
                    seconds[name].append(taken)
    finally:
        gc.unfreeze()
    return Measured(seconds)


def report(
    title: str, measured: Measured, goals: Sequence[Goal], *, options: argparse.Namespace, samples: int | None = None
) -> int:
    """Prints the times of all forms and the ratios with their goals.

    Args:
        title: first words of the table.
        measured: of ``interleave``.
        goals: ratios to print.
        options: of ``add_arguments``.
        samples: images per call, to print images per second instead of milliseconds.

    Returns:
        The exit code.
    """
    unit = "ms" if samples is None else "images/s"
    print(f"{title}, {len(next(iter(measured.seconds.values())))} rounds\n{'':32}{unit:>12}   (quartiles)")
    for name, seconds in measured.seconds.items():
        values = [value * 1e3 if samples is None else samples / value for value in seconds]
        low, _, high = quantiles(values, n=4, method="inclusive")
        print(f"{name:32}{median(values):12.5g}   ({low:.5g} to {high:.5g})")
    code = 0
    for goal in goals:
        low, middle, high = measured.times_as_fast(goal.form, goal.base)
        wide = high - low > options.max_spread * middle
        met = middle >= goal.factor
        verdict = "SPREAD TOO WIDE" if wide else "met" if met else "MISSED"
        print(
            f"{goal.form} is {middle:.3g} times as fast as {goal.base} ({low:.3g} to {high:.3g}), "
            f"goal {goal.factor:g}: {verdict}"
        )
        if wide:
            print(
                f"  the quartiles are {(high - low) / middle:.0%} of the median apart, allowed are "
                f"{options.max_spread:.0%}: repeat the benchmark on an idle machine, or with more --rounds"
            )
        code = max(code, UNCLEAR if wide else 0 if met else MISSED)
    return code


def _rounds(text: str) -> int:
    number = int(text)
    if number < _LEAST:
        raise argparse.ArgumentTypeError(f"must be at least {_LEAST}, not {number}")
    return number


def _cpu_seconds(form: Callable[[], object], calls: int, clock: Clock) -> float:
    now = time.perf_counter if clock == "wall" else time.process_time
    start = now()
    for _ in range(calls):
        form()
    return (now() - start) / calls


def _gpu_seconds(form: Callable[[], object], calls: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(calls):
        form()
    end.record()
    torch.cuda.synchronize()
    milliseconds: float = start.elapsed_time(end)
    return milliseconds / 1e3 / calls
