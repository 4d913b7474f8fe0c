"""``show``: images of what a network is given and, with a checkpoint, of what it makes of it."""

import re
from functools import partial
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser
from lightning import Trainer
from torch import Tensor

from callbacks.output_file import save_png
from callbacks.visualization.best_and_worst import Extremes
from datamodules.stage import Stage
from experiments.cli.usage import UsageError
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from experiments.tasks.table import TASKS


def add_arguments(parser: ArgumentParser) -> None:
    """Adds where to, and how many."""
    parser.add_argument(
        "--out", type=Path | None, default=None, help="folder of the images (default: figures/ of the run)"
    )
    parser.add_argument("--count", type=int, default=8, help="how many images a sheet shows")


def run(context: RunContext) -> int:
    """Draws a batch of every stage; of a checkpoint, its best and worst validation images too.

    Returns:
        0.
    """
    if context.config.count < 1:
        raise UsageError(f"--count must be at least 1, not {context.config.count}")
    out: Path = context.config.out or context.folder.figures
    context.datamodule.prepare_data()
    context.datamodule.setup("fit")
    for number, stage in enumerate(context.stages, start=1):
        _draw_batch(context, stage, number, out)
    if context.checkpoint is not None:
        _draw_extremes(context, out)
    return 0


def _draw_batch(context: RunContext, stage: Stage, number: int, out: Path) -> None:
    batch = context.datamodule.rehearsal_batch(stage)
    note = f"stage {stage.name}: {stage.size} px, batch of {stage.batch_size}"
    note += "" if stage.augment else ", not augmented"
    drawn = TASKS[context.task_name].parts().draw_batch(context.model, batch, context.config.count, note)
    _save(drawn, out / f"batch-{number}-{re.sub(r'[^A-Za-z0-9]+', '-', stage.name).strip('-')}.png")


def _draw_extremes(context: RunContext, out: Path) -> None:
    task = TASKS[context.task_name]
    parts = task.parts()
    extremes = Extremes(count=context.config.count, mode=task.mode)
    given = context.config.trainer
    trainer = Trainer(  # the command line's may have several devices, each of which would see its own share only
        accelerator=given.accelerator, devices=1, precision=given.precision, use_distributed_sampler=False,
        logger=False, enable_checkpointing=False, enable_model_summary=False, callbacks=[extremes],
    )  # fmt: skip
    trainer.validate(context.model, datamodule=context.datamodule, verbose=False)
    number, score = extremes.validated, partial(parts.score_text, context.model)
    note = f"each at {context.stage.size} px; the mean of all {number}: {score(extremes.total / number)}"
    print(note)
    for name, images in (("worst", extremes.worst), ("best", extremes.best)):
        if images:
            title = f"the {len(images)} {name} of {number} validation images"
            _save(parts.draw_scored(context.model, images, title, note), out / f"{name}.png")
            print("\n".join(f"  {score(kept.score)}  {kept.name}" for kept in images))


def _save(drawn: Tensor, path: Path) -> None:
    save_png(path, np.ascontiguousarray(drawn.permute(1, 2, 0).numpy()))
    print(f"drawn: {relative_to_here(path)}")
