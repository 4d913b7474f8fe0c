"""The last lines of ``fit``: the best score, where files are, and what to run next."""

import math
import shlex
from pathlib import Path

from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger

from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from datamodules.stage import stage_ends, stage_index
from experiments.runs.checkpoint import LoadedCheckpoint
from experiments.runs.command_line import command_for, current_command, program
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.typed_trainer import typed


def summarize(context: RunContext, *, seconds: float) -> str:
    """Returns the last lines of a run that took ``seconds``."""
    if typed(context.trainer).fast_dev_run:
        return f"fast_dev_run completed in {duration(seconds)}; nothing was logged or saved"
    checkpoint = next(callback for callback in typed(context.trainer).callbacks if isinstance(callback, RunCheckpoint))
    file = checkpoint.best if checkpoint.best.exists() else checkpoint.last
    if not file.exists():
        return (
            f"\nended after {duration(seconds)} without a step: nothing was saved. Without the limit of time:\n"
            f"  {_lifted_command(context)}"
        )
    paths = {name: str(relative_to_here(path)) for name, path in _paths(context, file).items()}
    width = max(map(len, paths))
    styles = context.model.styles
    style = ["--style", styles[0]] if len(styles) > 1 else []
    viewer = _viewer(context, paths.get("log", ""))
    return "\n".join(
        [
            "",
            f"done in {duration(seconds)}; {_best_score(context, checkpoint)}",
            "",
            *(f"  {name:{width}}  {path}" for name, path in paths.items()),
            "",
            "what next:",
            *([f"  look at it   {shlex.join(viewer)}"] if viewer else []),
            f"  use it       {_command(context, 'predict', '--ckpt_path', paths['checkpoint'], *style)} YOUR_IMAGES",
            f"  train on     {_continue_command(context, paths['checkpoint'])}",
        ]
    )


def resume_command(context: RunContext) -> str:
    """Returns the command that resumes the run, or starts it again if nothing was saved yet."""
    if not context.folder.checkpoint_files:
        return current_command()
    folder = str(relative_to_here(context.folder.path))
    return command_for(["--task", context.task_name, "--resume", folder, *_trust(context)])


def duration(seconds: float) -> str:
    """Formats a duration.

    >>> duration(8.4), duration(312), duration(7325)
    ('8 s', '5 min 12 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def nothing_to_resume(context: RunContext, checkpoint: LoadedCheckpoint) -> str:
    """Returns the message for a run that is complete, or that has reached a limit of its trainer."""
    folder, done = relative_to_here(context.folder.path), checkpoint.epochs_done
    epochs = stage_ends(context.stages)[-1]
    if done >= epochs:
        best = context.folder.checkpoints / "best.ckpt"
        return (
            f"{folder} is complete, all {done} epochs are trained: there is nothing to resume. Add a stage, or start a "
            f"new run from its weights with --init_from {shlex.quote(str(relative_to_here(best)))}"
        )
    options = " ".join(_without_limits(context))
    return (
        f"{folder} has reached its limit after {done} of {epochs} epochs and {checkpoint.steps_done} steps. Continue "
        f"with:\n  {resume_command(context)} {options}"
    )


def _without_limits(context: RunContext) -> list[str]:
    """Returns the options that lift the limits of the trainer, so that a resumed run trains all stages."""
    given, epochs = context.config.trainer, stage_ends(context.stages)[-1]
    options = []
    if given.max_epochs is not None and 0 <= given.max_epochs < epochs:
        options += ["--trainer.max_epochs", str(epochs)]
    if given.max_steps != -1:
        options += ["--trainer.max_steps", "-1"]
    if given.max_time is not None:
        options += ["--trainer.max_time", "null"]
    return options


def _continue_command(context: RunContext, checkpoint: str) -> str:
    """A run with untrained stages is resumed; a complete one is the starting point of a new run."""
    if context.trainer.current_epoch >= stage_ends(context.stages)[-1]:
        config = str(relative_to_here(context.folder.config))
        return _command(context, "--config", config, "--init_from", checkpoint)
    return _lifted_command(context)


def _lifted_command(context: RunContext) -> str:
    """The command that resumes the run, or starts it again if nothing was saved, without the trainer's limits."""
    return shlex.join([*shlex.split(resume_command(context)), *_without_limits(context)])


def _command(context: RunContext, *words: str) -> str:
    return shlex.join([*program(), "--task", context.task_name, *words, *_trust(context)])


def _trust(context: RunContext) -> list[str]:
    return ["--trust-config"] if context.trust_config else []


def _best_score(context: RunContext, checkpoint: RunCheckpoint) -> str:
    best = checkpoint.best_epoch
    if math.isnan(best.score):
        return f"{checkpoint.monitor} was never measured"
    stage = context.stages[stage_index(context.stages, best.epoch)]
    return (
        f"best {checkpoint.monitor} {best.score:.4f} after epoch {best.epoch + 1} of "
        f"{context.trainer.current_epoch} (stage {stage.name}, {stage.size} px)"
    )


def _viewer(context: RunContext, log: str) -> list[str]:
    """The command that shows the log, empty if the logger has none."""
    if _tensorboard(context):
        return ["tensorboard", "--logdir", log]
    logger = context.trainer.logger
    uri = logger.experiment.tracking_uri if isinstance(logger, MLFlowLogger) else ""
    return ["mlflow", "ui", "--backend-store-uri", uri] if uri.startswith("sqlite:") else []


def _tensorboard(context: RunContext) -> TensorBoardLogger | None:
    return next((logger for logger in context.trainer.loggers if isinstance(logger, TensorBoardLogger)), None)


def _paths(context: RunContext, checkpoint: Path) -> dict[str, Path]:
    logger = _tensorboard(context) or context.trainer.logger
    place = logger and (logger.log_dir or logger.save_dir)
    paths = {"checkpoint": checkpoint, **({"log": Path(place)} if place else {}), "config": context.folder.config}
    return paths | ({"figures": context.folder.figures} if context.folder.figures.is_dir() else {})
