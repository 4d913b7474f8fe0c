"""What ``fit`` says at its end: how good it was, where things are, what to type next."""

import math
import shlex
from pathlib import Path

from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from callbacks.stage_index import stage_ends, stage_index
from experiments.runs.command_line import run_line, same_again, script
from experiments.cli.parser import DarkroomCLI
from experiments.runs.folder import relative_to_here
from lightning_modules.typed_trainer import typed


def farewell(cli: DarkroomCLI, *, seconds: float) -> str:
    """Writes the last lines of a run."""
    if typed(cli.trainer).fast_dev_run:
        return f"fast_dev_run went through in {duration(seconds)}; nothing was logged or saved"
    checkpoint = next(callback for callback in typed(cli.trainer).callbacks if isinstance(callback, RunCheckpoint))
    file = checkpoint.best if checkpoint.best.exists() else checkpoint.last
    shown = {name: str(relative_to_here(path)) for name, path in _places(cli, file).items()}
    width = max(map(len, shown))
    return "\n".join(
        [
            "",
            f"done in {duration(seconds)}; {_best(cli, checkpoint)}",
            "",
            *(f"  {name:{width}}  {path}" for name, path in shown.items()),
            "",
            "what next:",
            f"  look at it   {command('tensorboard', '--logdir', shown['log'])}",
            f"  use it       {_run(cli, 'predict', '--ckpt_path', shown['checkpoint'])} YOUR_IMAGES",
            f"  train on     {_train_on(cli, shown['checkpoint'])}",
        ]
    )


def resume_line(cli: DarkroomCLI) -> str:
    """The command that goes on with the run, or starts it again where nothing was saved yet."""
    if not cli.folder.checkpoint_files:
        return same_again()
    return run_line(["--task", cli.plan.task_name, "--resume", str(relative_to_here(cli.folder.path))])


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


def _train_on(cli: DarkroomCLI, checkpoint: str) -> str:
    """A run that ended before its stages did is resumed; from one that is through, a new one can start."""
    through = cli.trainer.current_epoch >= stage_ends(cli.stages)[-1]
    return _run(cli, "--init_from", checkpoint) if through else resume_line(cli)


def _run(cli: DarkroomCLI, *words: str) -> str:
    return command("python", script(), "--task", cli.plan.task_name, *words)


def _best(cli: DarkroomCLI, checkpoint: RunCheckpoint) -> str:
    if math.isnan(checkpoint.best_score):
        return f"{checkpoint.monitor} was never measured"
    stage = cli.stages[stage_index(cli.stages, checkpoint.best_epoch)]
    return (
        f"best {checkpoint.monitor} {checkpoint.best_score:.4f} after epoch {checkpoint.best_epoch + 1} of "
        f"{cli.trainer.current_epoch} (stage {stage.name}, {stage.size} px)"
    )


def _places(cli: DarkroomCLI, checkpoint: Path) -> dict[str, Path]:
    places = {"checkpoint": checkpoint, "log": cli.folder.path, "config": cli.folder.config}
    return places | ({"figures": cli.folder.figures} if cli.folder.figures.is_dir() else {})
