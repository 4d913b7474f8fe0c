"""The one table of tasks: what each trains, on what, and by which number it is judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # torch takes seconds to import; a mistake of spelling must not
    from jsonargparse import ArgumentParser
    from lightning import Callback
    from torch import Tensor

    from callbacks.visualization.figures import Kept
    from datamodules.prediction.image_list import Listed
    from experiments.runs.context import RunContext
    from experiments.tasks.spec import Results, VideoLook
    from lightning_modules.base import ImageTask

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True, kw_only=True)
class Link:
    """One thing that would have to be said twice.

    Args:
        source: an attribute of the data module, ``data.<name>``.
        target: the argument of the module or network that gets it.
        through: what is made of it on the way.
    """

    source: str
    target: str
    through: Callable[..., object] | None = None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The classes of a task.

    Args:
        module: what is trained; fixed for the task, its network is chosen in the recipe.
        figures: makes the callback that draws what the network does.
        draw_batch: draws the first so many images of a training batch of the module's, with a note.
        draw_scored: draws validated images, each with its score, under a title and a note.
        score_text: writes the score of one image, with what it is.
        table_lines: writes a tested module's scores image by image, the worst first, for the screen.
        start_from: puts the weights of a file into a new module and names the tensors that it took.
        start: makes the callbacks that start a new module's weights, apart from the tensors named.
        options: adds the task's own options to a command, by the command's name.
        results: says what ``predict`` reads and writes: the options, the images, the folder of the results.
        video_look: says how ``predict`` finishes frames; without it, the task takes no videos.
        links: what the module takes over from the data.
    """

    module: type[ImageTask]
    figures: Callable[[], Callback]
    draw_batch: Callable[[Any, Mapping[str, Any], int, str], Tensor]
    draw_scored: Callable[[Any, Sequence[Kept], str, str], Tensor]
    score_text: Callable[[Any, float], str]
    table_lines: Callable[[Sequence[Any]], list[str]]
    start_from: Callable[[ImageTask, Path], Collection[str]]
    start: Callable[[ImageTask, Collection[str]], list[Callback]]
    options: Mapping[str, Callable[[ArgumentParser], None]]
    results: Callable[[RunContext, Sequence[Listed], Path], Results]
    video_look: Callable[[RunContext], VideoLook] | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the table.

    Args:
        summary: its line in the help.
        recipes: folder of its recipes.
        recipe: the one that is taken when none is named.
        monitor: the metric that decides which epoch was the best.
        mode: whether more (``"max"``) or less of it is better.
        scores: metrics shown beside the settings of a run, to compare runs by.
        parts: imports and gives the classes.
    """

    summary: str
    recipes: Path
    recipe: str
    monitor: str
    mode: Literal["min", "max"]
    scores: tuple[str, ...]
    parts: Callable[[], Parts]

    def recipe_file(self, name: str) -> Path:
        """Gives the file of a recipe that exists."""
        return self.recipes / f"{name}.yaml"

    def recipe_names(self) -> list[str]:
        """Lists the recipes, the default one first."""
        return sorted((file.stem for file in self.recipes.glob("*.yaml")), key=lambda name: (name != self.recipe, name))


def _segment() -> Parts:
    from callbacks.visualization.segmentation import SegmentFigures, batch_sheet
    from experiments.runs.checkpoint import load
    from experiments.runs.fitting import put_weights
    from experiments.tasks import segment as segment_results
    from experiments.tasks.report import worst_lines
    from experiments.tasks.segment_sheets import scored_sheet
    from lightning_modules.segmentation import SegmentationModule

    def draw_batch(module: SegmentationModule, batch: Mapping[str, Any], count: int, note: str) -> Tensor:
        return batch_sheet(batch["image"][:count], batch["mask"][:count], note=note, names=module.classes)

    def draw_scored(module: SegmentationModule, kept: Sequence[Kept], title: str, note: str) -> Tensor:
        return scored_sheet(kept, title=title, note=note, names=module.classes, threshold=module.threshold)

    def score_text(module: SegmentationModule, score: float) -> str:
        return f"{'Dice' if len(module.classes) == 1 else 'accuracy'} {score:.4f}"

    def start_from(module: ImageTask, path: Path) -> Collection[str]:
        loaded = load(path, "segment")
        put_weights(module, loaded)
        return loaded.weights

    return Parts(
        module=SegmentationModule,
        figures=SegmentFigures,
        draw_batch=draw_batch,
        draw_scored=draw_scored,
        score_text=score_text,
        table_lines=worst_lines,
        start_from=start_from,
        start=lambda module, kept: [],  # noqa: ARG005 - a segmentation net starts as it was built
        options={"predict": segment_results.add_arguments},
        results=segment_results.results,
        links=(
            Link(source="data.class_names", target="model.classes"),
            Link(source="data.class_names", target="model.net.init_args.classes", through=len),
        ),
    )


def _sr() -> Parts:
    from callbacks.training.icnr_init import ICNRInit
    from callbacks.visualization.super_resolution import SrFigures, pairs_sheet, scored_sheet
    from experiments.runs.transplanted import start_from
    from experiments.tasks import super_resolution as sr_results
    from experiments.tasks.sr_table import sr_lines
    from lightning_modules.super_resolution import SuperResolutionModule
    from models.super_resolution.pixel_shuffle import SubpixelUpsample

    def draw_batch(module: SuperResolutionModule, batch: Mapping[str, Any], count: int, note: str) -> Tensor:  # noqa: ARG001
        count = min(count, 4)  # a row of the sheet
        return pairs_sheet(batch["low_res"][:count], batch["high_res"][:count], note=note)

    def draw_scored(module: SuperResolutionModule, kept: Sequence[Kept], title: str, note: str) -> Tensor:  # noqa: ARG001
        return scored_sheet(kept, title=title, note=note)

    def score_text(module: SuperResolutionModule, score: float) -> str:  # noqa: ARG001
        return f"{score:.2f} dB"

    def start(module: ImageTask, kept: Collection[str]) -> list[Callback]:
        enlarges = any(isinstance(part, SubpixelUpsample) for part in module.modules())
        return [ICNRInit(keep=kept)] if enlarges else []

    return Parts(
        module=SuperResolutionModule,
        figures=SrFigures,
        draw_batch=draw_batch,
        draw_scored=draw_scored,
        score_text=score_text,
        table_lines=sr_lines,
        start_from=start_from,
        start=start,
        options={"predict": sr_results.add_arguments},
        results=sr_results.results,
    )


def _style() -> Parts:
    from callbacks.training.style_calibration import Calibration
    from callbacks.visualization.style import StyleFigures, content_sheet, scored_sheet
    from experiments.runs.transplanted import start_from
    from experiments.tasks import style as style_results
    from experiments.tasks.report import style_lines
    from lightning_modules.style import StyleModule

    def draw_batch(module: StyleModule, batch: Mapping[str, Any], count: int, note: str) -> Tensor:  # noqa: ARG001
        return content_sheet(batch["content"][:count], note=note)

    def draw_scored(module: StyleModule, kept: Sequence[Kept], title: str, note: str) -> Tensor:
        return scored_sheet(kept, title=title, note=note, random=module.loss.random)

    def score_text(module: StyleModule, score: float) -> str:  # noqa: ARG001
        return f"loss {score:.4f}"

    return Parts(
        module=StyleModule,
        figures=StyleFigures,
        draw_batch=draw_batch,
        draw_scored=draw_scored,
        score_text=score_text,
        table_lines=style_lines,
        start_from=start_from,
        start=lambda module, kept: [Calibration()],  # noqa: ARG005 - it measures the loss, whatever the net starts from
        options={"predict": style_results.add_arguments},
        results=style_results.results,
        video_look=style_results.video_look,
    )


TASKS = {
    "segment": Task(
        summary="find the subject of an image: masks and cut-outs",
        recipes=RECIPES / "segment",
        recipe="sample",
        monitor="val/dice",
        mode="max",
        scores=("val/dice", "val/iou", "val/accuracy", "val/loss"),
        parts=_segment,
    ),
    "sr": Task(
        summary="make images 2 or 4 times larger, or mend them: noise, JPEG, lost colors",
        recipes=RECIPES / "sr",
        recipe="sample",
        monitor="val/psnr",
        mode="max",
        scores=("val/psnr", "val/ssim", "val/bicubic_psnr", "val/bicubic_ssim", "val/loss"),
        parts=_sr,
    ),
    "style": Task(
        summary="repaint images in the manner of one painting",
        recipes=RECIPES / "style",
        recipe="sample",
        monitor="val/loss",
        mode="min",
        scores=("val/relative", "val/loss"),
        parts=_style,
    ),
}
