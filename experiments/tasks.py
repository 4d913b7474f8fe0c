"""The one table of tasks: what each trains, on what, and by which number it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # torch takes seconds to import; a mistake of spelling must not
    from lightning import Callback

    from datamodules.base import ImageDataModule
    from lightning_modules.base import ImageTask

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The classes of a task.

    Args:
        module: what is trained; fixed for the task, its network is chosen in the recipe.
        data: the base of what it can be trained on; the recipe chooses one.
        figures: makes the callback that draws what the network does.
        picture_table: gives a tested module's scores picture by picture, the worst first.
    """

    module: type[ImageTask]
    data: type[ImageDataModule]
    figures: Callable[[], Callback]
    picture_table: Callable[[Any], list[Any]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the table.

    Args:
        summary: its line in the help.
        recipes: folder of its recipes.
        recipe: the one that is taken when none is named.
        monitor: the metric that decides which epoch was the best.
        mode: whether more (``"max"``) or less of it is better.
        parts: imports and gives the classes.
    """

    summary: str
    recipes: Path
    recipe: str
    monitor: str
    mode: Literal["min", "max"]
    parts: Callable[[], Parts]

    def recipe_file(self, name: str) -> Path:
        """Gives the file of a recipe that exists."""
        return self.recipes / f"{name}.yaml"

    def recipe_names(self) -> list[str]:
        """Lists the recipes, the default one first."""
        return sorted((file.stem for file in self.recipes.glob("*.yaml")), key=lambda name: (name != self.recipe, name))


def _segment() -> Parts:
    from callbacks.segment_figures import SegmentFigures
    from datamodules.base import ImageDataModule
    from lightning_modules.segment_metrics import PictureScore
    from lightning_modules.segmentation import SegmentationModule

    def picture_table(module: SegmentationModule) -> list[PictureScore]:
        return module.test_table

    return Parts(
        module=SegmentationModule,
        data=ImageDataModule,  # type: ignore[type-abstract]  # the recipe names a class that is not
        figures=SegmentFigures,
        picture_table=picture_table,
    )


TASKS = {
    "segment": Task(
        summary="find the subject of a photograph: masks and cut-outs",
        recipes=RECIPES / "segment",
        recipe="sample",
        monitor="val/dice",
        mode="max",
        parts=_segment,
    ),
}
