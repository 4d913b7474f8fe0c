"""Selects the folder of a run: a new one, one to resume, or the one that a checkpoint belongs to."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from experiments.cli.arguments import NEWEST, Arguments
from experiments.cli.usage import UsageError, did_you_mean
from experiments.runs.folder import RunFolder, relative_to_here

# Lightning starts the other ranks with the same command line; they read the folder here.
_FOLDER_VARIABLE = "DARKROOM_RUN_FOLDER"
_CLOCK_TOLERANCE = 60.0  # seconds by which the clocks of a file server and this machine may differ


def task_runs(arguments: Arguments) -> Path:
    """Returns the folder that holds the runs of the task."""
    return arguments.runs / arguments.task_name


def new_run(arguments: Arguments, environ: Mapping[str, str] = os.environ) -> RunFolder:
    """Selects the folder of a new run.

    Every rank selects before any of them saves, so all of them select the same folder.

    Raises:
        UsageError: if ``--name`` names a run that exists.
    """
    return next(new_runs(arguments, environ))


def new_runs(arguments: Arguments, environ: Mapping[str, str] = os.environ) -> Iterator[RunFolder]:
    """Yields the folders that a new run may use: the one of ``--name``, or else numbered ones without end.

    Raises:
        UsageError: if ``--name`` names a run that exists.
    """
    if inherited := _inherited_folder(environ):
        yield inherited
        return
    name = arguments.name or _default_name(arguments, environ)
    for candidate in _numbered(name):
        folder = RunFolder(task_runs(arguments) / candidate)
        if not folder.checkpoint_files:  # a run that ended before its first checkpoint leaves nothing to resume
            yield folder
        elif arguments.name:
            shown = relative_to_here(folder.path)
            raise UsageError(f"{shown} already holds a run: resume it with --resume {shown}, or choose another --name")
        if arguments.name:
            return


def find_run(arguments: Arguments, which: str, environ: Mapping[str, str] = os.environ) -> RunFolder:
    """Finds a run that has a checkpoint.

    Args:
        arguments: name the task and the folder of all runs.
        which: a folder, the name of a run, or ``NEWEST``.
        environ: environment of the process; ranks that Lightning started find the folder of rank 0 in it.

    Raises:
        UsageError: if there is no such run, or it has no checkpoint.
    """
    if inherited := _inherited_folder(environ):
        return inherited
    runs = task_runs(arguments)
    if which == NEWEST:
        return _newest(runs, arguments.task_name)
    # ``--name dogs`` means the run, even if there is a folder ``dogs`` here, for example the data.
    places = [runs / which] if which == arguments.name else [Path(which), runs / which]
    folders = [RunFolder(place) for place in places if place.is_dir()]
    folder = next((folder for folder in folders if folder.checkpoint_files), next(iter(folders), None))
    if folder is None:
        names = [run.path.name for run in _run_folders(runs)]
        near = did_you_mean(Path(which).name, names) if names else "."
        raise UsageError(f"there is no run '{which}' (looked for that folder and in {relative_to_here(runs)}){near}")
    if not folder.checkpoint_files:
        raise UsageError(
            f"{relative_to_here(folder.path)} has no checkpoint: the run ended before it saved one. Start it again"
        )
    return folder


def has_runs(arguments: Arguments) -> bool:
    """Whether any run of the task has a checkpoint."""
    return any(run.checkpoint_files for run in _run_folders(task_runs(arguments)))


def restarted_run(arguments: Arguments, environ: Mapping[str, str] = os.environ) -> RunFolder | None:
    """Finds the run to resume if a scheduler restarted this job; ``None`` for a first start."""
    if all(environ.get(f"{who}_RESTART_COUNT", "0") == "0" for who in ("TORCHELASTIC", "SLURM")):
        return None
    folder = RunFolder(task_runs(arguments) / (arguments.name or _default_name(arguments, environ)))
    return folder if folder.checkpoint_files else None


def folder_of_checkpoint(file: Path, arguments: Arguments) -> RunFolder:
    """Returns the run that a checkpoint file belongs to; a file outside any run gets a folder named after itself."""
    if file.parent.name == "checkpoints":
        return RunFolder(file.parent.parent)
    return RunFolder(task_runs(arguments) / (arguments.name or file.stem))


def share_with_ranks(folder: RunFolder) -> None:
    """Stores the selected folder in the environment, for the ranks that this process starts."""
    os.environ[_FOLDER_VARIABLE] = str(folder.path.resolve())


def _inherited_folder(environ: Mapping[str, str]) -> RunFolder | None:
    # LOCAL_RANK is set in processes that Lightning started, never in the first one.
    inherits = _FOLDER_VARIABLE in environ and "LOCAL_RANK" in environ
    return RunFolder(Path(environ[_FOLDER_VARIABLE])) if inherits else None


def _default_name(arguments: Arguments, environ: Mapping[str, str]) -> str:
    """Returns the recipe's name; under a scheduler with the job's number, which a restarted job keeps."""
    torchrun = environ.get("TORCHELASTIC_RUN_ID", "none")
    slurm = environ.get("SLURM_JOB_ID", "none") if "SLURM_PROCID" in environ else "none"
    job = next((number for number in (slurm, torchrun) if number != "none"), None)
    return f"{arguments.recipe_name}-{job}" if job else arguments.recipe_name


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _run_folders(runs: Path) -> list[RunFolder]:
    return [RunFolder(place) for place in runs.iterdir() if place.is_dir()] if runs.is_dir() else []


def _newest(runs: Path, task: str) -> RunFolder:
    trained = [run for run in _run_folders(runs) if run.checkpoint_files]
    if not trained:
        raise UsageError(
            f"there is no run of {task} in {relative_to_here(runs)} yet: train one, or name a checkpoint or a folder"
        )
    newest = max(trained, key=lambda run: run.checkpoint_files[0].stat().st_mtime_ns)
    if newest.checkpoint_files[0].stat().st_mtime > time.time() + _CLOCK_TOLERANCE:
        print(
            f"the clock was set back: {relative_to_here(newest.checkpoint_files[0])} is dated in the future. If "
            f"{relative_to_here(newest.path)} is not the run you mean, name yours"
        )
    return newest
