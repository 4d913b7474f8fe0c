"""What the README tells people to type and to write works as it stands there."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import get_loader

from datamodules.stage import Stage
from experiments.cli.arguments import read_arguments
from experiments.cli.main import main
from experiments.tasks.table import TASKS
from tests.helpers import tiny_images

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line.rpartition("&& ")[2] for line in lines if "experiments/run.py" in line]


def yaml_block(key: str) -> dict[str, Any]:
    (found,) = [content for block in blocks("yaml") if key in (content := get_loader("yaml")(block))]
    return dict(found)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command: str) -> None:
    words = shlex.split(command)
    request = read_arguments(words[words.index("experiments/run.py") + 1 :])
    assert request.task_name in TASKS


def test_what_it_points_at_is_there() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if not target.startswith("https://")]
    assert len(targets) > 3
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_its_stages_are_stages() -> None:
    stages = [Stage(**fields) for fields in yaml_block("stages")["stages"]]
    assert [stage.size for stage in stages] == [128, 128, 512]


def test_every_recipe_is_listed() -> None:
    for task in TASKS.values():
        for name in task.recipe_names():
            assert f"`{name}`" in README, name


@pytest.mark.slow
def test_images_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The section of that name, with small images and one short stage."""
    monkeypatch.chdir(tmp_path)
    root = tiny_images.folders(tmp_path / "images")
    mine = yaml_block("data")
    mine["data"]["init_args"]["root"] = str(root)
    mine["stages"] = [{"name": "short", "size": 32, "batch_size": 2, "epochs": 1, "lr": 1e-3}]
    Path("mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    quiet = ["--config", "mine.yaml", "--data.cache_dir", "cache", "--data.num_workers", "0"]
    assert main(["--task", "segment", "prepare", *quiet]) == 0
    assert main(["--task", "segment", *quiet, "--model.net.pretrained", "none"]) == 0
    assert main(["--task", "segment", "predict", str(root / "images" / "p0.png")]) == 0
    assert (tmp_path / "runs" / "segment" / "sample" / "predictions" / "mask" / "p0.png").is_file()
