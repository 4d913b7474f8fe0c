"""The task table. Importing it is fast: the files of the tasks, which need torch, are imported by ``Task.load``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.inference.networks import InferenceNetwork
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
        data_class: returns the data module for a root, where the user has named none: its class, and arguments that are
            used unless the user names classes; ``None`` keeps the recipe's.
        network: imports and returns the class that applies a trained network without Lightning, which
            ``experiments.load`` uses; ``None`` uses the task's module.
    """

    summary: str
    module: str
    recipes: Path
    recipe: str = "sample"
    data_class: Callable[[Path], dict[str, Any]] | None = None
    network: Callable[[], type[InferenceNetwork]] | None = None

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


def _segmentation_data(root: Path) -> dict[str, Any]:
    from datamodules.segmentation import voc
    from datamodules.segmentation.layouts import is_carvana

    if voc.is_voc(root):
        options = {"classes": list(voc.CLASSES), "ignore": voc.IGNORE}
        return {"class_path": "datamodules.FolderDataModule", "init_args": options}
    return {"class_path": f"datamodules.{'Carvana' if is_carvana(root) else 'Folder'}DataModule"}


def _segmentation_network() -> type[InferenceNetwork]:
    from experiments.inference.networks import SegmentationNetwork

    return SegmentationNetwork


def _super_resolution_network() -> type[InferenceNetwork]:
    from experiments.inference.networks import SuperResolutionNetwork

    return SuperResolutionNetwork


def _style_network() -> type[InferenceNetwork]:
    from experiments.inference.networks import StyleNetwork

    return StyleNetwork


TASKS = {
    "segment": Task(
        summary="find the subject of an image: masks and cut-outs",
        module="experiments.tasks.segment",
        recipes=RECIPES / "segment",
        data_class=_segmentation_data,
        network=_segmentation_network,
    ),
    "sr": Task(
        summary="make images 2 or 4 times larger, or restore them: noise, JPEG artifacts, lost colors",
        module="experiments.tasks.super_resolution",
        recipes=RECIPES / "sr",
        network=_super_resolution_network,
    ),
    "style": Task(
        summary="repaint images in the style of one painting",
        module="experiments.tasks.style",
        recipes=RECIPES / "style",
        network=_style_network,
    ),
}
