"""Runs a arguments: reads its files, builds what it needs, turns expected errors into one line and an exit code."""

import sys
from contextlib import ExitStack
from pathlib import Path

from jsonargparse import set_parsing_settings
from lightning.pytorch.utilities import rank_zero_only

from callbacks.distributed.error_files import launcher_pid
from callbacks.distributed.error_report import record_error
from callbacks.distributed.exit_codes import FAILURE, MISTAKE
from experiments.cli.arguments import NEWEST, Arguments
from experiments.cli.errors import one_line
from experiments.cli.expected import MISTAKES
from experiments.cli.log_filter import quiet
from experiments.cli.parser import Plan, build_context
from experiments.cli.settings import Settings, lay_over, read_settings
from experiments.cli.signals import is_first, started_from_outside
from experiments.cli.stage_flags import edit_stages, take_stage_flags
from experiments.cli.usage import UsageError, did_you_mean
from experiments.commands.table import COMMANDS, Needs
from experiments.runs.checkpoint import Loaded, load, newest_valid
from experiments.runs.folder import RunFolder, relative_to_here
from experiments.runs.lock import InUseError, RunLock
from experiments.runs.selection import (
    find_run,
    folder_of_checkpoint,
    new_run,
    new_runs,
    restarted_run,
    share_with_ranks,
    task_runs,
)

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


def execute(arguments: Arguments) -> int:
    """Does what ``arguments`` asks for; errors that nobody expects go through with their traceback.

    Returns:
        0 done, 1 a failure, 2 a user's mistake, 75 interrupted and resumable.
    """
    if not arguments.trust_config:
        set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=TRUSTED)
    try:
        with quiet(), ExitStack() as held:
            plan = make_plan(arguments, held)
            return COMMANDS[plan.command_name].run(build_context(plan))
    except SystemExit as end:  # jsonargparse's way of saying that --print_config or --help is done
        return int(end.code or 0)
    except Exception as error:
        said = one_line(error)
        record_error(error, rank=getattr(rank_zero_only, "rank", 0), message=said)
        if said is None:
            raise
        if launcher_pid() is None:  # the one that started the others says the first error of all
            print(f"run.py: {said}", file=sys.stderr)
        return MISTAKE if isinstance(error, MISTAKES) else FAILURE


def make_plan(arguments: Arguments, held: ExitStack | None = None) -> Plan:
    """Reads the files that ``arguments`` names.

    Args:
        arguments: what is asked for.
        held: gets the lock of a run that trains; ``None`` where nothing will be trained.

    Raises:
        UsageError: if one of them cannot be read.
        CheckpointError: if the checkpoint is none of this task.
    """
    folder, loaded = _run_to_train(arguments, held) if arguments.command == "fit" else _run_to_use(arguments)
    share_with_ranks(folder)
    whole, edits, flags = take_stage_flags(arguments.flags)
    settings = lay_over([*_layers(arguments, folder, loaded), *([{"stages": whole}] if whole is not None else [])])
    settings["stages"] = edit_stages(settings.get("stages", []), edits)
    if arguments.init_from is not None:
        settings["init_from"] = str(arguments.init_from)
    return Plan(
        task_name=arguments.task_name,
        task=arguments.task,
        command_name=arguments.command,
        folder=folder,
        settings=settings,
        flags=[*flags, *(["--help"] if arguments.help_all else [])],
        loaded=loaded,
        resumes=arguments.command == "fit" and loaded is not None,
    )


def _run_to_train(arguments: Arguments, held: ExitStack | None) -> tuple[RunFolder, Loaded | None]:
    """Chooses the folder and locks it, before anything in it is read or written."""
    if arguments.resume is not None:
        chosen = arguments.name if arguments.resume == NEWEST and arguments.name else arguments.resume
        folder: RunFolder | None = find_run(arguments, chosen)
    else:
        folder = restarted_run(arguments)
    if folder is not None:
        _hold(folder, held)
        return folder, load(newest_valid(folder), arguments.task_name)
    for candidate in new_runs(arguments):
        try:
            _hold(candidate, held)
            return candidate, None
        except InUseError:
            # Another run has just taken the same number. Where others started the processes, the rest cannot know.
            if arguments.name or started_from_outside():
                raise
    raise RuntimeError("numbers have no end")


def _hold(folder: RunFolder, held: ExitStack | None) -> None:
    """Locks a run's folder for all of its processes, and tidies up after one that was killed."""
    if held is not None and is_first():
        held.enter_context(RunLock(folder.path))
        folder.remove_leftovers()


def _run_to_use(arguments: Arguments) -> tuple[RunFolder, Loaded | None]:
    needs = COMMANDS[arguments.command].needs
    wants = arguments.ckpt_path or ("best" if needs is Needs.CHECKPOINT else None)
    named = RunFolder(task_runs(arguments) / arguments.name) if arguments.name else None
    if needs is Needs.CHECKPOINT_IF_NAMED and named and named.checkpoint_files:
        wants = wants or "best"
    if needs is Needs.NOTHING or wants is None:
        return named or new_run(arguments), None
    if wants in ("best", "last"):
        folder = find_run(arguments, arguments.name or NEWEST)
        path = folder.checkpoints / f"{wants}.ckpt"
        if not path.is_file():
            there = ", ".join(sorted(file.name for file in folder.checkpoint_files))
            raise UsageError(f"{relative_to_here(folder.path)} has no {wants}.ckpt. There are: {there}")
    else:
        path = Path(wants)
        if not path.is_file() and path.name == wants and not path.suffix:
            raise UsageError(f"there is no checkpoint '{wants}'{did_you_mean(wants, ['best', 'last'])} Or name a file")
        folder = folder_of_checkpoint(path, arguments)
    return folder, load(path, arguments.task_name)


def _layers(arguments: Arguments, folder: RunFolder, loaded: Loaded | None) -> list[Settings]:
    """The order of settings: recipe (or the run's own configuration), checkpoint, the user's files."""
    own = folder.config if loaded and arguments.recipe is None and folder.config.is_file() else None
    layers = [read_settings(own or arguments.task.recipe_file(arguments.recipe_name))]
    if loaded is not None:
        layers.append({key: loaded.record[key] for key in ("model", "data", "stages")})
    return [*layers, *(read_settings(path) for path in arguments.configs)]
