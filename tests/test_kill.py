"""Killed runs end like undisturbed ones after a resume; see ``experiments/benchmarks/kill.py``."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from experiments.benchmarks.kill import SETTINGS, Kill, kill_and_resume, plan
from experiments.benchmarks.kill_run import EVENTS_PER_RUN


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
def test_killed_runs_end_with_the_same_bits_after_resume(tmp_path: Path) -> None:
    kills = [
        Kill(processes=1, workers=2, event="save", count=7, rank=0, delay_ms=5.0),
        Kill(processes=2, workers=0, event="boundary", count=1, rank=1, delay_ms=20.0),
    ]
    one_process, two_processes = kill_and_resume(kills, tmp_path)
    assert one_process.difference == two_processes.difference == ""
    assert one_process.step is not None
    assert 10 <= one_process.step < 30  # inside the second stage
    assert max(one_process.seconds, two_processes.seconds) < 60


def test_plan_covers_every_event_in_every_setting() -> None:
    kills = plan(60, seed=1)
    assert kills == plan(60, seed=1)
    assert kills != plan(60, seed=2)
    assert Counter(kill.event for kill in kills) == dict.fromkeys(EVENTS_PER_RUN, 12)
    assert {(kill.processes, kill.workers) for kill in kills} == set(SETTINGS)
    assert {kill.rank for kill in kills} == {0, 1}
    assert all(1 <= kill.count <= EVENTS_PER_RUN[kill.event] for kill in kills)
