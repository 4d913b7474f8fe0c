"""Commands, configurations and links of the README and the other documents work as written."""

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
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "experiments/RESULTS.md",
    "experiments/export/README.md",
    "experiments/cluster/README.md",
    "experiments/cluster/SCALING.md",
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line.rpartition("&& ")[2] for line in lines if "experiments/run.py" in line]


def yaml_block(key: str) -> dict[str, Any]:
    (found,) = [content for block in blocks("yaml") if key in (content := get_loader("yaml")(block))]
    return dict(found)


@pytest.mark.parametrize("command", commands())
def test_readme_command_is_parsed(command: str) -> None:
    words = shlex.split(command)
    request = read_arguments(words[words.index("experiments/run.py") + 1 :])
    assert request.task_name in TASKS


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def test_linked_files_exist() -> None:
    links = [(document, link) for document in DOCUMENTS for link in re.findall(r"\]\(([^)#]+)\)", text_of(document))]
    files = [(document, link) for document, link in links if not link.startswith("https://")]
    assert len(files) > 10
    assert [link for document, link in files if not (ROOT / document).parent.joinpath(link).exists()] == []


def test_named_benchmarks_and_recipes_exist() -> None:
    text = "".join(map(text_of, DOCUMENTS))
    benchmarks = set(re.findall(r"experiments\.benchmarks\.(\w+)", text))
    recipes = set(re.findall(r"--task (\w+) --recipe (\w[\w-]*)", text))
    assert min(len(benchmarks), len(recipes)) > 3
    assert [name for name in benchmarks if not (ROOT / "experiments/benchmarks" / f"{name}.py").exists()] == []
    assert [name for task, name in recipes if not TASKS[task].recipe_file(name).exists()] == []


def test_readme_has_at_most_200_lines() -> None:
    assert README.count("\n") <= 200


def test_stages_of_the_readme_are_valid() -> None:
    stages = [Stage(**fields) for fields in yaml_block("stages")["stages"]]
    assert [stage.size for stage in stages] == [128, 128, 512]


def test_every_recipe_is_listed() -> None:
    for task in TASKS.values():
        for name in task.recipe_names():
            assert f"`{name}`" in README, name


@pytest.mark.slow
def test_own_images_as_in_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The section on own images, with small images and one short stage."""
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
