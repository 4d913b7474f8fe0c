"""The shipped recipes have a complete head and train one batch through the command line."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from experiments.cli.arguments import read_arguments
from experiments.cli.main import main
from experiments.cli.settings import Settings, read_settings
from experiments.tasks.table import TASKS
from tests.helpers import tiny_images

RECIPES = [(name, recipe) for name, task in TASKS.items() for recipe in task.recipe_names()]
FLAT = ("SuperResolutionDataModule", "StyleDataModule")  # read images and nothing else
HEAD = ("Source:", "Command:", "Machine:", "Time:", "Reached:")


def head(task: str, recipe: str) -> list[str]:
    lines = TASKS[task].recipe_file(recipe).read_text(encoding="utf-8").splitlines()
    return [line.lstrip("# ") for line in lines if line.startswith("#")]


def images_for(data_class: str, root: Path, *, levels: int = 12) -> Path:
    """Images in the layout that a recipe's data module reads; masks of classes hold ``levels`` values."""
    if data_class.endswith("CarvanaDataModule"):
        return tiny_images.carvana(root)
    if data_class.endswith(FLAT):
        for number in range(200):  # the lesson keeps 2 %
            tiny_images.save(root / f"p{number}.png", tiny_images.noise(number))
        return root
    for split in ("train", "val"):
        for number in range(4):
            classes = np.random.default_rng(number).integers(0, levels, (32, 48), dtype=np.uint8)
            tiny_images.save(root / split / f"{split}{number}.png", tiny_images.noise(number))
            tiny_images.save(root / f"{split}annot" / f"{split}{number}.png", classes)
    return root


def words_for(settings: Settings) -> list[str]:
    """Options that avoid downloads and make patches fit the images."""
    if not settings["data"]["class_path"].endswith(FLAT):
        return ["--stages.all.size", "64", "--model.net.pretrained", "none"]
    sees = settings["model"]["loss"]["class_path"].endswith(("PerceptualLoss", "StyleLoss"))
    paints = settings["data"]["class_path"].endswith("StyleDataModule")
    side = "32" if paints else "16"
    small = ["--stages.all.size", side, "--data.val_size", side, "--data.small", "enlarge"]
    painting = ["--data.style_size", "64"] if paints else []
    return [*small, *painting, *(["--model.loss.weights", "none"] if sees else [])]


@pytest.mark.parametrize("task", TASKS)
def test_default_recipe_is_listed_first(task: str) -> None:
    assert TASKS[task].recipe_names()[0] == TASKS[task].recipe == "sample"


@pytest.mark.parametrize(("task", "recipe"), RECIPES)
def test_recipe_head_is_complete(task: str, recipe: str) -> None:
    lines = head(task, recipe)
    assert lines[0].endswith(".")  # what the help shows
    for entry in HEAD:
        assert any(line.startswith(entry) and len(line) > len(entry) + 1 for line in lines), entry


@pytest.mark.parametrize(("task", "recipe"), RECIPES)
def test_recipe_command_runs_the_recipe(task: str, recipe: str) -> None:
    (command,) = [line.removeprefix("Command:") for line in head(task, recipe) if line.startswith("Command:")]
    program, script, *words = shlex.split(command)
    assert (program, script) == ("python", "experiments/run.py")
    request = read_arguments(words)
    assert (request.task_name, request.recipe_name, request.command) == (task, recipe, "fit")


@pytest.mark.slow
@pytest.mark.parametrize(("task", "recipe"), RECIPES)
def test_recipe_trains_one_batch(
    task: str, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the recipe's network, losses and schedule; only the images are small and few."""
    monkeypatch.chdir(tmp_path)
    settings = read_settings(TASKS[task].recipe_file(recipe))
    levels = 12 if "classes" in settings["data"].get("init_args", {}) else 2
    root = images_for(settings["data"]["class_path"], tmp_path / "images", levels=levels)
    words = [
        *("--task", task, "--recipe", recipe, "--data.root", str(root), "--data.cache_dir", str(tmp_path / "cache")),
        *("--data.num_workers", "0", "--trainer.accelerator", "cpu"),
        *("--trainer.fast_dev_run", "1", "--stages.all.batch_size", "2", *words_for(settings)),
        *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
    ]
    assert main(words) == 0, capsys.readouterr().err
    assert "fast_dev_run completed" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
