"""``show``: draws training batches and, with a checkpoint, its best and worst validation images."""

import re
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser
from lightning import Trainer
from torch import Tensor

from callbacks.output_file import save_png
from callbacks.visualization.best_and_worst import BestAndWorst
from datamodules.stage import Stage
from experiments.cli.usage import UsageError
from experiments.commands.show_images import draw_group
from experiments.commands.show_summary import summary_text
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the folder to write to and the number of images."""
    parser.add_argument(
        "--out", type=Path | None, default=None, help="folder of the images (default: figures/ of the run)"
    )
    parser.add_argument(
        "--image", type=str | None, default=None, help="draw this image (its name or stem) and the others of its group"
    )
    parser.add_argument(
        "--index", type=int | None, default=None, help="as --image, by number: training images first, from 0"
    )
    parser.add_argument(
        "--summary", action="store_true", help="print the layers, their output shapes, and what each stage trains"
    )
    parser.add_argument("--count", type=int, default=8, help="number of images in a grid")


def run(context: RunContext) -> int:
    """Draws an augmented batch of every stage; with a checkpoint also its best and worst validation images.

    With ``--image`` or ``--index`` it draws one group instead, with ``--summary`` it describes the network.
    """
    if context.config.count < 1:
        raise UsageError(f"--count must be at least 1, not {context.config.count}")
    if context.config.image is not None and context.config.index is not None:
        raise UsageError("--image and --index name two images: use one of them")
    if context.config.summary:
        print(summary_text(context.model, context.stages))
        return 0
    out: Path = context.config.out or context.folder.figures
    context.datamodule.prepare_data()
    context.datamodule.setup("fit")
    if context.config.image is not None or context.config.index is not None:
        stem, drawn, lines = draw_group(context, image=context.config.image, index=context.config.index)
        print("\n".join(lines))
        _save(drawn, out / f"image-{re.sub(r'[^A-Za-z0-9_.-]+', '-', stem)}.png")
        return 0
    if context.datamodule.has_training_images:
        for number, stage in enumerate(context.stages, start=1):
            _draw_batch(context, stage, number, out)
    else:
        print("no batches are drawn, since all images are held out (--data.val_share 1.0)")
    if context.checkpoint is not None:
        _draw_best_and_worst(context, out)
    return 0


def _draw_batch(context: RunContext, stage: Stage, number: int, out: Path) -> None:
    batch = context.datamodule.dry_run_batch(stage)
    note = f"stage {stage.name}: {stage.size} px, batch of {stage.batch_size}"
    if not stage.augment:
        note += ", not augmented"
    elif augmentation := context.datamodule.augmentation:
        print(f"augmentation of stage {stage.name}: {augmentation}")
    figures = context.spec.figures(context.model, context.datamodule)
    drawn = figures.draw_batch(batch, count=context.config.count, note=note)
    _save(drawn, out / f"batch-{number}-{re.sub(r'[^A-Za-z0-9]+', '-', stage.name).strip('-')}.png")


def _draw_best_and_worst(context: RunContext, out: Path) -> None:
    kept = BestAndWorst(count=context.config.count, mode=context.spec.mode)
    given = context.config.trainer
    trainer = Trainer(  # on one device, because with several each rank would keep its own best and worst
        accelerator=given.accelerator, devices=1, precision=given.precision, use_distributed_sampler=False,
        logger=False, enable_checkpointing=False, enable_model_summary=False, callbacks=[kept],
    )  # fmt: skip
    trainer.validate(context.model, datamodule=context.datamodule, verbose=False)
    figures, number = context.spec.figures(context.model, context.datamodule), kept.validated
    note = f"each at {context.stage.size} px; mean of all {number}: {figures.score_text(kept.total / number)}"
    print(note)
    for name, samples in (("worst", kept.worst), ("best", kept.best)):
        if samples:
            title = f"the {len(samples)} {name} of {number} validation images"
            _save(figures.draw_scored(samples, title=title, note=note), out / f"{name}.png")
            print("\n".join(f"  {figures.score_text(sample.score)}  {sample.name}" for sample in samples))


def _save(drawn: Tensor, path: Path) -> None:
    save_png(path, np.ascontiguousarray(drawn.permute(1, 2, 0).numpy()))
    print(f"written: {relative_to_here(path)}")
