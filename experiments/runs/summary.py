"""What ``fit`` says at its end: how good it was, where things are, what to type next."""

import math
import shlex
from pathlib import Path

from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from datamodules.stage import stage_ends, stage_index
from experiments.runs.command_line import run_line, same_again, script
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.typed_trainer import typed


def farewell(context: RunContext, *, seconds: float) -> str:
    """Writes the last lines of a run."""
    if typed(context.trainer).fast_dev_run:
        return f"fast_dev_run went through in {duration(seconds)}; nothing was logged or saved"
    checkpoint = next(callback for callback in typed(context.trainer).callbacks if isinstance(callback, RunCheckpoint))
    file = checkpoint.best if checkpoint.best.exists() else checkpoint.last
    shown = {name: str(relative_to_here(path)) for name, path in _places(context, file).items()}
    width = max(map(len, shown))
    return "\n".join(
        [
            "",
            f"done in {duration(seconds)}; {_best(context, checkpoint)}",
            "",
            *(f"  {name:{width}}  {path}" for name, path in shown.items()),
            "",
            "what next:",
            f"  look at it   {command('tensorboard', '--logdir', shown['log'])}",
            f"  use it       {_run(context, 'predict', '--ckpt_path', shown['checkpoint'])} YOUR_IMAGES",
            f"  train on     {_train_on(context, shown['checkpoint'])}",
        ]
    )


def resume_line(context: RunContext) -> str:
    """The command that goes on with the run, or starts it again where nothing was saved yet."""
    if not context.folder.checkpoint_files:
        return same_again()
    return run_line(["--task", context.task_name, "--resume", str(relative_to_here(context.folder.path))])


def duration(seconds: float) -> str:
    """Writes a time as a person would say it.

    >>> duration(8.4), duration(312), duration(7325)
    ('8 s', '5 min 12 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def command(*words: str) -> str:
    """Quotes a command for the shell."""
    return shlex.join(words)


def _train_on(context: RunContext, checkpoint: str) -> str:
    """A run that ended before its stages did is resumed; from one that is through, a new one can start."""
    through = context.trainer.current_epoch >= stage_ends(context.stages)[-1]
    return _run(context, "--init_from", checkpoint) if through else resume_line(context)


def _run(context: RunContext, *words: str) -> str:
    return command("python", script(), "--task", context.task_name, *words)


def _best(context: RunContext, checkpoint: RunCheckpoint) -> str:
    if math.isnan(checkpoint.best_epoch.score):
        return f"{checkpoint.monitor} was never measured"
    stage = context.stages[stage_index(context.stages, checkpoint.best_epoch.epoch)]
    return (
        f"best {checkpoint.monitor} {checkpoint.best_epoch.score:.4f} after epoch {checkpoint.best_epoch.epoch + 1} of "
        f"{context.trainer.current_epoch} (stage {stage.name}, {stage.size} px)"
    )


def _places(context: RunContext, checkpoint: Path) -> dict[str, Path]:
    places = {"checkpoint": checkpoint, "log": context.folder.path, "config": context.folder.config}
    return places | ({"figures": context.folder.figures} if context.folder.figures.is_dir() else {})
