"""Runs a request: reads its files, builds what it needs, turns expected errors into one line and an exit code."""

import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import cast

from jsonargparse import set_parsing_settings
from lightning.pytorch.utilities import rank_zero_only

from callbacks.distributed.error_files import starter
from callbacks.distributed.error_report import leave
from callbacks.distributed.exit_codes import FAILURE, MISTAKE
from experiments.cli.arguments import NEWEST, Request
from experiments.cli.errors import one_line
from experiments.cli.expected import MISTAKES
from experiments.cli.log_filter import quiet
from experiments.cli.parser import Plan, build_context
from experiments.cli.settings import Settings, lay_over, read_settings
from experiments.cli.signals import is_first, started_from_outside
from experiments.cli.stage_flags import edit_stages, take_stage_flags
from experiments.cli.usage import UsageError, did_you_mean
from experiments.commands import COMMANDS, CommandModule, Needs
from experiments.runs.checkpoint import Loaded, load, newest_valid
from experiments.runs.folder import (
    RunFolder,
    announce,
    find_run,
    folder_of_checkpoint,
    new_run,
    new_runs,
    relative_to_here,
    restarted_run,
    runs_of,
)
from experiments.runs.lock import InUseError, RunLock

# Importing a class runs its package's code: a configuration from elsewhere must not choose just any.
TRUSTED = [
    "callbacks",
    "datamodules",
    "lightning_modules",
    "models",
    "lightning",
    "torch",
    "torchmetrics",
    "torchvision",
]


def execute(request: Request) -> int:
    """Does what ``request`` asks for; errors that nobody expects go through with their traceback.

    Returns:
        0 done, 1 a failure, 2 a user's mistake, 75 interrupted and resumable.
    """
    if not request.trust_config:
        set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=TRUSTED)
    try:
        with quiet(), ExitStack() as held:
            plan = make_plan(request, held)
            return plan.command.run(build_context(plan))
    except SystemExit as end:  # jsonargparse's way of saying that --print_config or --help is done
        return int(end.code or 0)
    except Exception as error:
        said = one_line(error)
        leave(error, rank=getattr(rank_zero_only, "rank", 0), said=said)
        if said is None:
            raise
        if starter() is None:  # the one that started the others says the first error of all
            print(f"run.py: {said}", file=sys.stderr)
        return MISTAKE if isinstance(error, MISTAKES) else FAILURE


def make_plan(request: Request, held: ExitStack | None = None) -> Plan:
    """Reads the files that ``request`` names.

    Args:
        request: what is asked for.
        held: gets the lock of a run that trains; ``None`` where nothing will be trained.

    Raises:
        UsageError: if one of them cannot be read.
        CheckpointError: if the checkpoint is none of this task.
    """
    folder, loaded = _run_to_train(request, held) if request.command == "fit" else _run_to_use(request)
    announce(folder)
    whole, edits, flags = take_stage_flags(request.flags)
    settings = lay_over([*_layers(request, folder, loaded), *([{"stages": whole}] if whole is not None else [])])
    settings["stages"] = edit_stages(settings.get("stages", []), edits)
    if request.init_from is not None:
        settings["init_from"] = str(request.init_from)
    return Plan(
        task_name=request.task_name,
        task=request.task,
        command_name=request.command,
        command=cast(CommandModule, import_module(COMMANDS[request.command].module)),
        folder=folder,
        settings=settings,
        flags=[*flags, *(["--help"] if request.help_all else [])],
        loaded=loaded,
        resumes=request.command == "fit" and loaded is not None,
    )


def _run_to_train(request: Request, held: ExitStack | None) -> tuple[RunFolder, Loaded | None]:
    """Chooses the folder and locks it, before anything in it is read or written."""
    if request.resume is not None:
        chosen = request.name if request.resume == NEWEST and request.name else request.resume
        folder: RunFolder | None = find_run(request, chosen)
    else:
        folder = restarted_run(request)
    if folder is not None:
        _hold(folder, held)
        return folder, load(newest_valid(folder), request.task_name)
    for candidate in new_runs(request):
        try:
            _hold(candidate, held)
            return candidate, None
        except InUseError:
            # Another run has just taken the same number. Where others started the processes, the rest cannot know.
            if request.name or started_from_outside():
                raise
    raise RuntimeError("numbers have no end")


def _hold(folder: RunFolder, held: ExitStack | None) -> None:
    """Locks a run's folder for all of its processes, and tidies up after one that was killed."""
    if held is not None and is_first():
        held.enter_context(RunLock(folder.path))
        folder.remove_leftovers()


def _run_to_use(request: Request) -> tuple[RunFolder, Loaded | None]:
    needs = COMMANDS[request.command].needs
    wants = request.ckpt_path or ("best" if needs is Needs.CHECKPOINT else None)
    named = RunFolder(runs_of(request) / request.name) if request.name else None
    if needs is Needs.CHECKPOINT_IF_NAMED and named and named.checkpoint_files:
        wants = wants or "best"
    if needs is Needs.NOTHING or wants is None:
        return named or new_run(request), None
    if wants in ("best", "last"):
        folder = find_run(request, request.name or NEWEST)
        path = folder.checkpoints / f"{wants}.ckpt"
        if not path.is_file():
            there = ", ".join(sorted(file.name for file in folder.checkpoint_files))
            raise UsageError(f"{relative_to_here(folder.path)} has no {wants}.ckpt. There are: {there}")
    else:
        path = Path(wants)
        if not path.is_file() and path.name == wants and not path.suffix:
            raise UsageError(f"there is no checkpoint '{wants}'{did_you_mean(wants, ['best', 'last'])} Or name a file")
        folder = folder_of_checkpoint(path, request)
    return folder, load(path, request.task_name)


def _layers(request: Request, folder: RunFolder, loaded: Loaded | None) -> list[Settings]:
    """The order of settings: recipe (or the run's own configuration), checkpoint, the user's files."""
    own = folder.config if loaded and request.recipe is None and folder.config.is_file() else None
    layers = [read_settings(own or request.task.recipe_file(request.recipe_name))]
    if loaded is not None:
        layers.append({key: loaded.record[key] for key in ("model", "data", "stages")})
    return [*layers, *(read_settings(path) for path in request.configs)]
