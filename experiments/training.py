"""Training from Python: the same run as the command line makes, from a script or a notebook."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from callbacks.distributed.exit_codes import INTERRUPTED, STOPPED_AT_ONCE
from callbacks.errors import CheckpointError
from datamodules.stage import Stage
from experiments.cli.arguments import read_arguments
from experiments.cli.log_filter import filter_logs
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from experiments.commands import fit as fit_command
from experiments.inference.loading import load
from experiments.inference.predictor import Predictor
from experiments.runs.folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that was trained.

    Args:
        folder: its folder, with checkpoints, configuration and log.
        finished: whether all epochs were trained. Otherwise ``fit(..., resume=run.folder)`` continues it.
    """

    folder: Path
    finished: bool

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint; the last one if nothing was validated.

        Raises:
            CheckpointError: if there is none.
        """
        files = RunFolder(self.folder).checkpoint_files
        for name in ("best.ckpt", "last.ckpt"):
            if (file := next((file for file in files if file.name == name), None)) is not None:
                return file
        raise CheckpointError(f"{self.folder} has no checkpoint yet")

    def load(self, **options: Any) -> Predictor:
        """Loads the trained network, see ``experiments.load``."""
        return load(self.checkpoint, **options)


def fit(
    task: str,
    *,
    data: str | PathLike[str] | None = None,
    stages: Sequence[Stage | Mapping[str, Any]] | None = None,
    recipe: str | None = None,
    name: str | None = None,
    runs: str | PathLike[str] = "runs",
    resume: bool | str | PathLike[str] = False,
    init_from: str | PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Run:
    """Trains a network as ``run.py --task TASK`` does, in this process and on one device.

    Args:
        task: ``segment``, ``sr`` or ``style``.
        data: folder of images (``--data.root``); ``None`` uses the sample data.
        stages: stages that replace those of the recipe.
        recipe: name of a recipe; ``None`` uses the default.
        name: name of the run, whose folder is ``runs/TASK/NAME``.
        runs: folder of all runs.
        resume: run to continue: its folder or name, or ``True`` for the newest.
        init_from: a checkpoint, or the name of a network that ships, whose weights the run starts from.
        options: all other options of the command line, for example ``{"model.net.encoder": "resnet34"}``.

    Returns:
        The run. It is not finished if it was stopped by a signal.

    Raises:
        UsageError: for options that do not exist or exclude each other.
        DataError: for data that cannot be used.
        KeyboardInterrupt: if training was interrupted twice, and so stopped at once.
    """
    words = ["--task", task, "--runs", fspath(runs)]
    words += [] if recipe is None else ["--recipe", recipe]
    words += [] if name is None else ["--name", name]
    words += ["--init_from", fspath(init_from)] if init_from is not None else []
    if resume is not False:
        words += ["--resume", *([] if resume is True else [fspath(resume)])]
    settings: dict[str, Any] = {"trainer.devices": 1, **(options or {})}
    if data is not None:
        settings["data.root"] = str(Path(data))
    if stages is not None:
        settings["stages"] = [asdict(stage) if isinstance(stage, Stage) else dict(stage) for stage in stages]
    words += [f"--{key}={_as_word(value)}" for key, value in settings.items()]
    with filter_logs(), ExitStack() as locks:
        context = build_context(make_plan(read_arguments(words), locks))
        code = fit_command.run(context)
    if code == STOPPED_AT_ONCE:
        raise KeyboardInterrupt
    return Run(folder=context.folder.path, finished=code != INTERRUPTED)


def _as_word(value: Any) -> str:
    """Writes a value as an option of the command line takes it.

    >>> _as_word("a.png"), _as_word(True), _as_word([{"size": 64}])
    ('a.png', 'true', '[{"size": 64}]')
    """
    return value if isinstance(value, str) else fspath(value) if isinstance(value, PathLike) else json.dumps(value)
