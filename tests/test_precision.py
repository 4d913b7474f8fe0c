"""Recipes in bf16 run in float32 on CPUs without bfloat16 instructions; the user's choice and a run's own stay."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch
import yaml
from jsonargparse import Namespace

from experiments.cli import precision
from experiments.cli.arguments import read_arguments
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from experiments.cli.precision import adapt_precision, cpu_has_bf16
from tests.helpers.tiny_run import TinyRuns

SWITCHED = "trainer.precision: 32-true instead of bf16-mixed, because this CPU has no bfloat16 instructions"


@pytest.fixture
def old_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: False)


@pytest.mark.parametrize(
    ("onednn", "capabilities", "expected"),
    [
        (True, {"avx512_bf16": True}, True),
        (True, {"amx_bf16": True, "avx512_bf16": False}, True),
        (True, {"architecture": "arm64", "bf16": True}, True),
        (True, {"avx512_f": True, "avx512_bw": True, "avx512_bf16": False}, False),  # would emulate
        (True, {"avx2": True}, False),
        (False, {"architecture": "arm64", "bf16": True}, False),  # macOS
    ],
)
def test_instructions(
    monkeypatch: pytest.MonkeyPatch, onednn: bool, capabilities: dict[str, object], expected: bool
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert cpu_has_bf16() is expected


def test_torch_without_capabilities_asks_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for answer in (True, False):
        ops = SimpleNamespace(mkldnn=SimpleNamespace(_is_mkldnn_bf16_supported=lambda answer=answer: answer))
        monkeypatch.setattr(torch, "ops", ops)
        assert cpu_has_bf16() is answer


@pytest.mark.parametrize(
    ("given", "accelerator", "chosen", "before", "after", "line"),
    [
        ("bf16-mixed", "cpu", False, None, "32-true", SWITCHED),
        ("bf16-mixed", "cuda", False, None, "bf16-mixed", None),
        ("bf16-mixed", "cpu", True, None, "bf16-mixed", "trainer.precision bf16-mixed is slow here"),
        ("32-true", "cpu", False, None, "32-true", None),
        ("bf16-mixed", "cpu", False, "bf16-mixed", "bf16-mixed", "It is kept because the run was trained with it"),
        ("32-true", "cpu", True, "bf16-mixed", "32-true", "was trained with bf16-mixed and goes on with 32-true"),
        ("bf16-mixed", "cpu", True, 32, "bf16-mixed", "was trained with 32-true and goes on with bf16-mixed"),
        (None, "cpu", False, "32-true", None, None),
    ],
)
@pytest.mark.usefixtures("old_cpu")
def test_choice(
    given: str | None, accelerator: str, chosen: bool, before: str | int | None, after: str | None, line: str | None
) -> None:
    trainer = Namespace(precision=given, accelerator=accelerator)
    said = adapt_precision(trainer, chosen=chosen, before=before)
    assert trainer.precision == after
    assert said is None if line is None else line in (said or "")


@pytest.mark.parametrize(("gpu", "after"), [(torch.device("cuda"), "bf16-mixed"), (None, "32-true")])
@pytest.mark.usefixtures("old_cpu")
def test_device_that_auto_selects(monkeypatch: pytest.MonkeyPatch, gpu: torch.device | None, after: str) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: gpu)
    trainer = Namespace(precision="bf16-mixed", accelerator="auto")
    adapt_precision(trainer, chosen=False, before=None)
    assert trainer.precision == after


def test_capable_cpu_keeps_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    trainer = Namespace(precision="bf16-mixed", accelerator="cpu")
    assert adapt_precision(trainer, chosen=False, before=None) is None
    assert trainer.precision == "bf16-mixed"


def trainer_precision(words: list[str]) -> str:
    """Precision of the trainer that a command line makes."""
    with ExitStack() as locks:
        return str(build_context(make_plan(read_arguments(words), locks)).trainer.precision)


def test_every_command(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    assert tiny.run("fit") == 0  # the recipe's precision, with a capable CPU
    assert "trainer.precision" not in capsys.readouterr().out
    assert yaml.safe_load(tiny.folder().joinpath("config.yaml").read_text())["trainer"]["precision"] == "bf16-mixed"

    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: False)
    image = str(next((tiny.place / "cars/train").iterdir()))
    for command in (["predict", image], ["test"], ["validate"], ["lr-find"]):
        assert trainer_precision(tiny.words(*command)) == "32-true"
        assert capsys.readouterr().out.count(SWITCHED) == 1
    assert trainer_precision(["--task", "segment", "--resume", "sample"]) == "bf16-mixed"
    assert "It is kept because the run was trained with it" in capsys.readouterr().out
    assert trainer_precision(["--task", "segment", "--resume", "sample", "--trainer.precision=32-true"]) == "32-true"
    assert "goes on with 32-true" in capsys.readouterr().out

    own = tiny.place / "own.yaml"
    own.write_text("trainer: {precision: bf16-mixed}", encoding="utf-8")
    assert trainer_precision(tiny.words("test", "--config", str(own))) == "bf16-mixed"
    assert "is slow here" in capsys.readouterr().out
    assert tiny.run("fit", "--name", "new") == 0
    assert capsys.readouterr().out.count(SWITCHED) == 1
    assert yaml.safe_load(tiny.folder("new").joinpath("config.yaml").read_text())["trainer"]["precision"] == "32-true"
