"""A run whose steps wait for data reports it once, with the remedy."""

from types import SimpleNamespace
from typing import Any

import pytest

from callbacks.visualization import data_wait
from callbacks.visualization.data_wait import DataWaitReport


def run_epoch(report: Any, trainer: Any, clock: list[float], *, wait: float, steps: int) -> None:
    """Steps of 1 second, with ``wait`` seconds before each, the first excepted."""
    report.on_train_epoch_start(trainer, None)
    clock[0] += 100.0  # loader processes start
    for number in range(steps):
        clock[0] += wait if number else 0.0
        report.on_train_batch_start(trainer, None, {}, number)
        clock[0] += 1.0
        report.on_train_batch_end(trainer, None, {}, {"name": ["a"]}, number)
    report.on_train_epoch_end(trainer, None)


@pytest.mark.parametrize(
    ("wait", "steps", "lines"), [(1.0, 21, 1), (0.05, 21, 0), (1.0, 19, 0)], ids=["slow", "fast", "few steps"]
)
def test_report(
    wait: float, steps: int, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(data_wait, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    trainer = SimpleNamespace(is_global_zero=True, num_devices=1, train_dataloader=SimpleNamespace(num_workers=2))
    report = DataWaitReport(cores=8)
    for _ in range(2):
        run_epoch(report, trainer, clock, wait=wait, steps=steps)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == lines
    if told:  # 20 waits of 1 second beside 21 steps of 1 second
        assert "waited for data for 49 % of this epoch" in told[0]
        assert told[0].endswith("--data.num_workers 7 (now 2)")
