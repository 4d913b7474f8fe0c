"""``compare``: what two runs differ in, their scores on the same images, and both side by side."""

import json

import pytest
from PIL import Image

from callbacks.visualization.image_grid import WIDTH
from experiments.cli.main import main
from tests.helpers.tiny_run import QUIET, TinyRuns


def compare(*words: str) -> int:
    return main(["--task", "segment", "--trust-config", "compare", *words, *QUIET])


def test_two_runs_are_compared_as_text_and_image(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("--trust-config", "--name=slow") == 0
    assert tiny.run("--trust-config", "--name=fast", "--stages.all.lr", "0.1", "--stages.1.size", "32") == 0
    capsys.readouterr()
    assert compare("slow", "runs/segment/fast", "--count", "2") == 0
    out = capsys.readouterr().out
    settings, scores, images = (part.splitlines() for part in out.split("\n\n")[:3])
    assert settings[0].split() == ["setting", "that", "differs", "slow", "fast"]
    rows = {line.split()[0]: line.split()[1:] for line in settings[1:]}
    assert rows == {"stages.0.lr": ["0.01", "0.1"], "stages.1.lr": ["0.01", "0.1"], "stages.1.size": ["48", "32"]}
    assert any(line.split() == ["size", "in", "px", "48", "32"] for line in scores)
    losses = next(line.split()[1:] for line in scores if line.startswith("val/loss "))
    for name, value in zip(("slow", "fast"), losses, strict=True):
        assert main(["--task=segment", "--trust-config", "validate", f"--name={name}", *QUIET]) == 0
        saved = json.loads((tiny.folder(name) / "validate.json").read_text())
        assert float(value) == pytest.approx(saved["scores"]["val/loss"], abs=1e-4)
    assert losses[0] != losses[1]
    assert len(images) == 3
    with Image.open(tiny.place / "runs/segment/compare-slow-fast.png") as image:
        assert image.width == WIDTH


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "compare takes the folders or names of runs: compare RUN RUN"),
        (["nowhere", "else"], "there is no run 'nowhere'"),
        (["slow"], "compare needs two runs or more"),
        (["slow", "slwo"], "there is no run 'slwo' with a checkpoint"),
    ],
)
def test_runs_that_do_not_exist(
    tiny: TinyRuns, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "slow" in words:
        assert tiny.run("--trust-config", "--name=slow") == 0
    assert compare(*words) == 2
    assert message in capsys.readouterr().err
