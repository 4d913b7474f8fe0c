"""Where a run lives: one folder, decided once for all of its processes."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from datamodules.io.atomic_file import remove_partial_files
from experiments.cli.arguments import NEWEST, Request
from experiments.cli.usage import UsageError, did_you_mean

# Lightning starts the other processes with the same command line: they read the decision instead of repeating it.
DECIDED = "DARKROOM_RUN_FOLDER"
_CLOCKS_DIFFER = 60.0  # seconds between a file server's clock and ours that mean nothing


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Args:
        path: ``<runs>/<task>/<name>``.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The exact configuration."""
        return self.path / "config.yaml"

    @property
    def skipped(self) -> Path:
        """List of the data files that were left out."""
        return self.path / "skipped.txt"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``best.ckpt``, ``last.ckpt`` and the stages' ends."""
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.path / "figures"

    @property
    def predictions(self) -> Path:
        """Folder of results on the user's images."""
        return self.path / "predictions"

    @property
    def checkpoint_files(self) -> list[Path]:
        """All checkpoints, the newest first; of equal age ``last.ckpt`` comes first."""
        files = self.checkpoints.glob("*.ckpt")
        return sorted(files, key=lambda file: (-file.stat().st_mtime_ns, file.name != "last.ckpt", file.name))

    @property
    def holds_a_run(self) -> bool:
        """Whether there is anything to go on from: a run that died before its first checkpoint leaves nothing."""
        return bool(self.checkpoint_files)

    def remove_leftovers(self) -> None:
        """Removes what a killed run left half-written, and the log of one that never saved anything."""
        remove_partial_files(self.path, self.checkpoints, self.figures)
        if not self.checkpoint_files:
            for log in self.path.glob("events.out.tfevents.*"):
                log.unlink(missing_ok=True)


def runs_of(request: Request) -> Path:
    """The folder of the task's runs."""
    return request.runs / request.task_name


def new_run(request: Request, environ: Mapping[str, str] = os.environ) -> RunFolder:
    """Chooses the folder of a run that starts.

    Every process of a run chooses before any of them saves, so all of them choose the same.

    Raises:
        UsageError: if ``--name`` names a run that exists.
    """
    return next(new_runs(request, environ))


def new_runs(request: Request, environ: Mapping[str, str] = os.environ) -> Iterator[RunFolder]:
    """Lists the folders that a run that starts may take: the one that was named, or else one number after the other.

    Raises:
        UsageError: if ``--name`` names a run that exists.
    """
    if decided := _decided(environ):
        yield decided
        return
    name = request.name or _default_name(request, environ)
    for candidate in _numbered(name):
        folder = RunFolder(runs_of(request) / candidate)
        if not folder.holds_a_run:
            yield folder
        elif request.name:
            shown = relative_to_here(folder.path)
            raise UsageError(
                f"{shown} holds a run already: go on with it by --resume {shown}, or choose another --name"
            )
        if request.name:
            return


def find_run(request: Request, which: str, environ: Mapping[str, str] = os.environ) -> RunFolder:
    """Finds a run that has a checkpoint.

    Args:
        request: names the task and where runs lie.
        which: a folder, a run's name, or ``NEWEST``.
        environ: where the decision of the first process is read.

    Raises:
        UsageError: if there is none.
    """
    if decided := _decided(environ):
        return decided
    runs = runs_of(request)
    if which == NEWEST:
        return _newest(runs, request.task_name)
    folder = next((RunFolder(place) for place in (Path(which), runs / which) if place.is_dir()), None)
    if folder is None:
        names = [run.path.name for run in _all(runs)]
        near = did_you_mean(Path(which).name, names) if names else "."
        raise UsageError(f"there is no run '{which}' (looked for that folder and in {relative_to_here(runs)}){near}")
    if not folder.checkpoint_files:
        raise UsageError(
            f"{relative_to_here(folder.path)} holds no checkpoint: the run ended before it saved one. Start it again"
        )
    return folder


def restarted_run(request: Request, environ: Mapping[str, str] = os.environ) -> RunFolder | None:
    """Finds the run that a cluster's scheduler starts again, if this is such a start."""
    if not _restarted(environ):
        return None
    folder = RunFolder(runs_of(request) / (request.name or _default_name(request, environ)))
    return folder if folder.checkpoint_files else None


def announce(folder: RunFolder) -> None:
    """Lets processes started from this one know the decision."""
    os.environ[DECIDED] = str(folder.path.resolve())


def folder_of_checkpoint(file: Path, request: Request) -> RunFolder:
    """The run a checkpoint file belongs to; a stray file gets a folder of its own name among the task's runs."""
    if file.parent.name == "checkpoints":
        return RunFolder(file.parent.parent)
    return RunFolder(runs_of(request) / (request.name or file.stem))


def relative_to_here(path: Path) -> Path:
    """Writes a path as one would type it: relative inside the working directory, absolute outside."""
    resolved, here = path.resolve(), Path.cwd()
    return resolved.relative_to(here) if resolved.is_relative_to(here) else resolved


def _decided(environ: Mapping[str, str]) -> RunFolder | None:
    # LOCAL_RANK is set in processes that Lightning started, never in the first one.
    return RunFolder(Path(environ[DECIDED])) if DECIDED in environ and "LOCAL_RANK" in environ else None


def _restarted(environ: Mapping[str, str]) -> bool:
    """Whether a scheduler has started this run before."""
    return any(environ.get(f"{who}_RESTART_COUNT", "0") != "0" for who in ("TORCHELASTIC", "SLURM"))


def _default_name(request: Request, environ: Mapping[str, str]) -> str:
    """The recipe's name; under a scheduler with the job's number, which a restarted job keeps."""
    torchrun = environ.get("TORCHELASTIC_RUN_ID", "none")
    slurm = environ.get("SLURM_JOB_ID", "none") if "SLURM_PROCID" in environ else "none"
    job = next((number for number in (slurm, torchrun) if number != "none"), None)
    return f"{request.recipe_name}-{job}" if job else request.recipe_name


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _all(runs: Path) -> list[RunFolder]:
    return [RunFolder(place) for place in runs.iterdir() if place.is_dir()] if runs.is_dir() else []


def _newest(runs: Path, task: str) -> RunFolder:
    trained = [run for run in _all(runs) if run.checkpoint_files]
    if not trained:
        raise UsageError(
            f"there is no run of {task} in {relative_to_here(runs)} yet: train one, or name a checkpoint or a folder"
        )
    newest = max(trained, key=lambda run: run.checkpoint_files[0].stat().st_mtime_ns)
    if newest.checkpoint_files[0].stat().st_mtime > time.time() + _CLOCKS_DIFFER:
        print(
            f"the clock was set back: {relative_to_here(newest.checkpoint_files[0])} is of a time to come. If "
            f"{relative_to_here(newest.path)} is not the run you mean, name yours"
        )
    return newest
