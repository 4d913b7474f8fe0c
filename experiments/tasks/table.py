"""The task table. Importing it is fast: the files of the tasks, which need torch, are imported by ``Task.load``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.tasks.spec import TaskSpec

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the table.

    Args:
        summary: its line in the help.
        module: name of the Python module whose ``SPEC`` is the task's ``TaskSpec``.
        recipes: folder of its recipes.
        recipe: name of the default recipe.
    """

    summary: str
    module: str
    recipes: Path
    recipe: str = "sample"

    def load(self) -> TaskSpec[Any]:
        """Imports the task's module and returns its ``SPEC``."""
        spec: TaskSpec[Any] = import_module(self.module).SPEC
        return spec

    def recipe_file(self, name: str) -> Path:
        """Returns the file of a recipe that exists."""
        return self.recipes / f"{name}.yaml"

    def recipe_names(self) -> list[str]:
        """Lists the recipes, the default one first."""
        return sorted((file.stem for file in self.recipes.glob("*.yaml")), key=lambda name: (name != self.recipe, name))


TASKS = {
    "segment": Task(
        summary="find the subject of an image: masks and cut-outs",
        module="experiments.tasks.segment",
        recipes=RECIPES / "segment",
    ),
    "sr": Task(
        summary="make images 2 or 4 times larger, or restore them: noise, JPEG artifacts, lost colors",
        module="experiments.tasks.super_resolution",
        recipes=RECIPES / "sr",
    ),
    "style": Task(
        summary="repaint images in the style of one painting",
        module="experiments.tasks.style",
        recipes=RECIPES / "style",
    ),
}
