"""Runs killed without warning go on to the same end; all of it is in ``experiments/benchmarks/kill.py``."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from experiments.benchmarks.kill import OFTEN, SETTINGS, Kill, carry_out, plan


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
def test_killed_runs_end_as_the_whole_ones(tmp_path: Path) -> None:
    kills = [
        Kill(processes=1, workers=2, moment="save", count=7, victim=0, after_ms=5.0),
        Kill(processes=2, workers=0, moment="boundary", count=1, victim=1, after_ms=20.0),
    ]
    alone, together = carry_out(kills, tmp_path)
    assert alone.different == together.different == ""
    assert alone.step is not None
    assert 10 <= alone.step < 30  # inside the second stage
    assert max(alone.ended, together.ended) < 60


def test_a_plan_has_moments_of_every_kind_in_every_setting() -> None:
    kills = plan(60, seed=1)
    assert kills == plan(60, seed=1)
    assert kills != plan(60, seed=2)
    assert Counter(kill.moment for kill in kills) == dict.fromkeys(OFTEN, 12)
    assert {(kill.processes, kill.workers) for kill in kills} == set(SETTINGS)
    assert {kill.victim for kill in kills} == {0, 1}
    assert all(1 <= kill.count <= OFTEN[kill.moment] for kill in kills)
