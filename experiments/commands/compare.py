"""``compare``: settings, scores and time of several runs, and the same validation images side by side."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import ArgumentParser
from lightning import Callback, LightningModule, Trainer

from callbacks.output_file import save_png
from callbacks.visualization.best_and_worst import FirstSamples
from experiments.cli.settings import read_settings
from experiments.cli.usage import UsageError
from experiments.runs.checkpoint import LoadedCheckpoint, load_checkpoint
from experiments.runs.comparison import differing_settings, table, training_seconds
from experiments.runs.context import RunContext
from experiments.runs.folder import RunFolder, relative_to_here
from experiments.runs.summary import duration
from experiments.runs.trained_module import build_module
from lightning_modules.base import ImageTask


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the runs, the number of images and the file to write."""
    parser.add_argument("compared", nargs="*", help="folders or names of runs, two or more")
    parser.add_argument("--count", type=int, default=4, help="number of validation images that are drawn")
    parser.add_argument(
        "--out", type=Path | None, default=None, help="PNG to write (default: compare-RUN-RUN.png beside the runs)"
    )


def run(context: RunContext) -> int:
    """Scores the best checkpoint of every run on the validation images of the first run.

    Each network is applied at the size of its own stage.

    Raises:
        UsageError: if fewer than two runs are named, or their classes differ.
        CheckpointError: if a run has no checkpoint of the task.
    """
    config = context.config
    if len(config.compared) < 2 or config.count < 1:
        raise UsageError("compare needs two runs or more, and --count of at least 1: compare RUN RUN")
    folders = [context.folder, *(_folder(context, word) for word in config.compared[1:])]
    names = [folder.path.name for folder in folders]
    checkpoints = [load_checkpoint(best_or_last(folder), context.task_name) for folder in folders]
    context.datamodule.setup("validate")
    scores, kept, figures = [], [], []
    for name, checkpoint in zip(names, checkpoints, strict=True):
        model = build_module(checkpoint, trust_config=context.trust_config)
        if tuple(model.classes) != tuple(context.model.classes):
            raise UsageError(f"{name} has the classes {list(model.classes)}, {names[0]} {list(context.model.classes)}")
        figures.append(context.spec.figures(model, context.datamodule))
        values, samples = _validate(context, model, checkpoint)
        scores.append(values)
        kept.append(samples)
    _print_tables(folders, checkpoints, scores)
    images = [sample.name for sample in kept[0]]
    rows = [[image, *(f"{list(samples)[row].score:.4f}" for samples in kept)] for row, image in enumerate(images)]
    print("\n".join(["", *table(["score of the image", *names], rows)]))
    parts = [
        figures[0].draw_scored([list(samples)[row] for samples in kept], title=image, note=" | ".join(names))
        for row, image in enumerate(images)
    ]
    path: Path = config.out or context.folder.path.parent / f"compare-{'-'.join(names)}.png"
    save_png(path, np.ascontiguousarray(torch.cat(parts, dim=1).permute(1, 2, 0).numpy()))
    print(f"\nwritten: {relative_to_here(path)}, each row in the order of the runs")
    return 0


def best_or_last(folder: RunFolder) -> Path:
    """The checkpoint of a run that is compared: ``best.ckpt``, or ``last.ckpt`` before the last stage has one."""
    best = folder.checkpoints / "best.ckpt"
    return best if best.is_file() else folder.checkpoints / "last.ckpt"


class _Kept(Callback):
    """Keeps the validation samples whose names come first."""

    def __init__(self, count: int) -> None:
        self.samples = FirstSamples(count)

    def on_validation_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Offers every sample of the batch."""
        for index in range(len(batch["name"])):
            self.samples.offer(0.0, batch, outputs, index)


def _folder(context: RunContext, word: str) -> RunFolder:
    places = [Path(word), context.folder.path.parent / word]
    folder = next((RunFolder(place) for place in places if RunFolder(place).checkpoint_files), None)
    if folder is None:
        raise UsageError(f"there is no run '{word}' with a checkpoint (looked for {places[0]} and {places[1]})")
    return folder


def _validate(
    context: RunContext, model: ImageTask, checkpoint: LoadedCheckpoint
) -> tuple[dict[str, float], FirstSamples]:
    kept, given = _Kept(context.config.count), context.config.trainer
    context.datamodule.set_stage(checkpoint.stage)
    trainer = Trainer(
        accelerator=given.accelerator, devices=1, precision=given.precision, use_distributed_sampler=False,
        logger=False, enable_checkpointing=False, enable_model_summary=False, callbacks=[kept],
        enable_progress_bar=given.enable_progress_bar is not False,
    )  # fmt: skip
    (values,) = trainer.validate(model, datamodule=context.datamodule, verbose=False)
    return dict(values), kept.samples


def _print_tables(
    folders: list[RunFolder], checkpoints: list[LoadedCheckpoint], scores: list[dict[str, float]]
) -> None:
    names = [folder.path.name for folder in folders]
    settings = [
        read_settings(folder.config) if folder.config.is_file() else checkpoint.record
        for folder, checkpoint in zip(folders, checkpoints, strict=True)
    ]
    different = differing_settings(settings)
    print("\n".join(table(["setting that differs", *names], different) if different else ["no setting differs"]))
    seconds = [training_seconds(folder.path) for folder in folders]
    rows = [[key, *(_number(one.get(key)) for one in scores)] for key in sorted({key for one in scores for key in one})]
    rows += [
        ["size in px", *(str(checkpoint.stage.size) for checkpoint in checkpoints)],
        ["optimizer steps", *(str(checkpoint.steps_done) for checkpoint in checkpoints)],
        ["time of training", *("-" if one is None else duration(one) for one in seconds)],
    ]
    print("\n".join(["", *table(["on the same validation images", *names], rows)]))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
