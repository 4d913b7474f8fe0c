"""The harness of the benchmarks: order of the forms, ratios inside a round, and exit codes."""

import argparse

import pytest

from experiments.benchmarks.__main__ import BENCHMARKS, main
from experiments.benchmarks.interleave import Goal, Measured, add_arguments, interleave, report
from experiments.benchmarks.machine import machine


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_forms_take_turns_and_the_warm_up_is_not_counted() -> None:
    calls: list[str] = []
    forms = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    measured = interleave(forms, options=options("--rounds", "7"))
    assert calls == list("abc") * 8
    assert {name: len(seconds) for name, seconds in measured.seconds.items()} == {"a": 7, "b": 7, "c": 7}


def test_fewer_rounds_than_seven_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--rounds", "6")
    assert "must be at least 7, not 6" in capsys.readouterr().err


# Load doubles in every second round; the ratios inside the rounds stay 2.
CLEAR = Measured({"ours": [1.0, 2.0] * 4, "peer": [2.0, 4.0] * 4})
NOISY = Measured({"ours": [1.0] * 8, "peer": [1.0, 3.0] * 4})


@pytest.mark.parametrize(("measured", "factor", "code"), [(CLEAR, 1.9, 0), (CLEAR, 2.1, 1), (NOISY, 1.9, 3)])
def test_exit_code(measured: Measured, factor: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert report("step", measured, [Goal("ours", "peer", factor)], options=options()) == code
    assert ("repeat the benchmark on an idle machine" in capsys.readouterr().out) == (code == 3)


def test_report_in_images_per_second(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("input", CLEAR, [], options=options(), samples=30) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("peer"))
    assert line.split() == ["peer", "11.25", "(7.5", "to", "15)"]


def test_machine_names_the_versions_it_is_asked_for() -> None:
    import albumentations
    import torch

    text = machine("albumentations")
    assert f"torch {torch.__version__.split('+')[0]}" in text
    assert f"albumentations {albumentations.__version__}" in text
    assert "bf16 native" in text or "bf16 emulated" in text


def test_an_unknown_benchmark_is_an_error_that_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["speed"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in BENCHMARKS)


def test_options_go_to_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["label", "--help"])
    assert "Strokes of a simulated person" in capsys.readouterr().out
