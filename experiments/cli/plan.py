"""Turns the arguments into a plan: selects the run's folder, reads the checkpoint, and merges the settings."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from experiments.cli.arguments import NEWEST, Arguments
from experiments.cli.class_names import expand_class_options
from experiments.cli.command_words import free_words
from experiments.cli.data_class import restart_changed_class, select_data_class
from experiments.cli.precision import is_precision_chosen
from experiments.cli.settings import (
    Settings,
    check_seed,
    merge_settings,
    override_stages,
    read_settings,
    split_stage_options,
)
from experiments.cli.signals import is_first_rank, is_started_externally
from experiments.cli.usage import UsageError, did_you_mean
from experiments.cli.yaml_limits import limit_yaml
from experiments.commands.table import COMMANDS, Needs
from experiments.networks import Network, default_network, list_networks
from experiments.runs.checkpoint import LoadedCheckpoint, load_checkpoint, load_newest
from experiments.runs.folder import RunFolder, relative_to_here
from experiments.runs.lock import InUseError, RunLock
from experiments.runs.selection import (
    find_run,
    folder_of_checkpoint,
    has_runs,
    new_run,
    new_runs,
    restarted_run,
    share_with_ranks,
    task_runs,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run, after all files were read.

    Args:
        task_name: key of the task table.
        command: key of the command table.
        folder: folder of the run.
        settings: recipe, checkpoint and configuration files, merged.
        flags: options of the command line, which override ``settings``.
        checkpoint: the checkpoint in use; ``fit`` resumes from it.
        more_checkpoints: files whose networks are averaged with that of ``checkpoint``.
        trust_config: whether the settings may name any class.
        help_all: whether to print the full help instead of running the command.
        contents: whole content of the checkpoint that ``fit`` resumes from, by path, so that it is read once.
        precision_chosen: whether the user's own settings name the precision.
        precision_before: precision of the run that ``fit`` resumes.
    """

    task_name: str
    command: str
    folder: RunFolder
    settings: Settings
    flags: Sequence[str]
    checkpoint: LoadedCheckpoint | None
    trust_config: bool
    help_all: bool
    contents: Mapping[Path, dict[str, Any]] = field(default_factory=dict)
    more_checkpoints: Sequence[Path] = ()
    precision_chosen: bool = False
    precision_before: str | int | None = None


def make_plan(arguments: Arguments, locks: ExitStack | None = None) -> Plan:
    """Reads the files that ``arguments`` name.

    Args:
        arguments: the parsed command line.
        locks: receives the lock of a run that trains; ``None`` if nothing is trained.

    Raises:
        UsageError: if a file cannot be read.
        CheckpointError: if the checkpoint is damaged or of another task.
    """
    limit_yaml()
    contents: dict[Path, dict[str, Any]] = {}
    if arguments.command == "fit":
        folder, resumes = _lock_folder(arguments, locks)
        checkpoint = None
        if resumes:
            checkpoint, content = load_newest(folder, arguments.task_name)
            contents = {checkpoint.path: content}
    else:
        try:
            folder, checkpoint = _find_checkpoint(arguments)
        except UsageError:
            if not arguments.help_all:
                raise
            folder, checkpoint = new_run(arguments), None  # the help needs none
    share_with_ranks(folder)
    stages, overrides, flags = split_stage_options(arguments.flags)
    sources = _setting_sources(arguments, folder, checkpoint)
    own = [read_settings(path) for path in arguments.configs]
    settings = merge_settings([*sources, *own, *([{"stages": stages}] if stages is not None else [])])
    flags = expand_class_options(flags)
    check_seed(settings, flags)
    if checkpoint is None:
        settings = select_data_class(arguments, settings)
    settings = restart_changed_class(settings, flags)
    settings["stages"] = override_stages(settings.get("stages", []), overrides)
    if arguments.init_from is not None:
        settings["init_from"] = str(arguments.init_from)
    return Plan(
        task_name=arguments.task_name,
        command=arguments.command,
        folder=folder,
        settings=settings,
        flags=flags,
        help_all=arguments.help_all,
        checkpoint=checkpoint,
        trust_config=arguments.trust_config,
        contents=contents,
        more_checkpoints=arguments.more_checkpoints,
        precision_chosen=is_precision_chosen(own, flags),
        precision_before=_precision(sources) if arguments.command == "fit" and checkpoint is not None else None,
    )


def _precision(sources: Sequence[Settings]) -> str | int:
    """The trainer's precision in the settings of a run."""
    trainer = merge_settings(sources).get("trainer") or {}
    precision: str | int = trainer.get("precision") or "32-true"
    return precision


def _lock_folder(arguments: Arguments, locks: ExitStack | None) -> tuple[RunFolder, bool]:
    """Selects the folder to train in and locks it before anything in it is read or written.

    Returns:
        The folder, and whether the run in it is resumed.
    """
    if arguments.resume is not None:
        named = arguments.name if arguments.resume == NEWEST and arguments.name else arguments.resume
        folder: RunFolder | None = find_run(arguments, named)
    else:
        folder = restarted_run(arguments)
    if folder is not None:
        _lock(folder, locks)
        return folder, True
    for candidate in new_runs(arguments):
        try:
            _lock(candidate, locks)
            return candidate, False
        except InUseError:
            # Another run has just taken the same number. Externally started ranks would not learn of the next one.
            if arguments.name or is_started_externally():
                raise
    raise RuntimeError("new_runs() ended")


def _lock(folder: RunFolder, locks: ExitStack | None) -> None:
    """Locks the folder for all ranks of the run, and removes half-written files of a killed run."""
    if locks is not None and is_first_rank():
        locks.enter_context(RunLock(folder.path))
        folder.remove_leftovers()


def _find_checkpoint(arguments: Arguments) -> tuple[RunFolder, LoadedCheckpoint | None]:
    """Selects folder and checkpoint of a command that does not train a run."""
    if (network := _shipped_network(arguments)) is not None:
        return folder_of_checkpoint(network.path, arguments), load_checkpoint(network.path, arguments.task_name)
    needs = COMMANDS[arguments.command].needs
    if needs is Needs.RUNS:
        return _first_run(arguments)
    wanted = arguments.ckpt_path or ("best" if needs is Needs.CHECKPOINT else None)
    named = RunFolder(task_runs(arguments) / arguments.name) if arguments.name else None
    if needs is Needs.CHECKPOINT_IF_NAMED and named and named.checkpoint_files:
        wanted = wanted or "best"
    if needs is Needs.NOTHING or wanted is None:
        return named or new_run(arguments), None
    if wanted in ("best", "last"):
        folder = find_run(arguments, arguments.name or NEWEST)
        path = folder.checkpoints / f"{wanted}.ckpt"
        if not path.is_file():
            names = ", ".join(sorted(file.name for file in folder.checkpoint_files))
            raise UsageError(f"{relative_to_here(folder.path)} has no {wanted}.ckpt. There are: {names}")
    else:
        path = Path(wanted)
        if not path.is_file() and path.name == wanted and not path.suffix:
            shipped = {network.name: network.path for network in list_networks(arguments.task_name)}
            if wanted not in shipped:
                known = ["best", "last", *shipped]
                raise UsageError(f"there is no checkpoint '{wanted}'{did_you_mean(wanted, known)} Or name a file")
            path = shipped[wanted]
        folder = folder_of_checkpoint(path, arguments)
    return folder, load_checkpoint(path, arguments.task_name)


def _first_run(arguments: Arguments) -> tuple[RunFolder, LoadedCheckpoint]:
    """The run that the first free word names, with its best or last checkpoint."""
    word = next((arguments.flags[position] for position in free_words(arguments.flags)), None)
    if word is None or arguments.ckpt_path or arguments.name:
        raise UsageError(f"{arguments.command} takes the folders or names of runs: {arguments.command} RUN RUN")
    folder = find_run(arguments, word)
    best = folder.checkpoints / "best.ckpt"
    return folder, load_checkpoint(best if best.is_file() else folder.checkpoint_files[0], arguments.task_name)


def _shipped_network(arguments: Arguments) -> Network | None:
    """The network that ships, if ``predict`` names no checkpoint and no run of the task has one."""
    if arguments.command != "predict" or arguments.ckpt_path or arguments.name or has_runs(arguments):
        return None
    network = default_network(arguments.task_name, scale=_scale_option(arguments.flags))
    if network is not None and is_first_rank():
        runs = relative_to_here(task_runs(arguments))
        print(f"there is no run in {runs} yet: using the network {network.name}, {network.describe()}")
    return network


def _scale_option(flags: Sequence[str]) -> int | None:
    """The value of ``--scale``, which selects the network.

    >>> _scale_option(["--scale", "4"]), _scale_option(["--scale=2"]), _scale_option(["a.png"])
    (4, 2, None)
    """
    values = [word.removeprefix("--scale=") for word in flags if word.startswith("--scale=")]
    values += [value for word, value in pairwise(flags) if word == "--scale"]
    return next((int(value) for value in values if value.isdigit()), None)


def _setting_sources(arguments: Arguments, folder: RunFolder, checkpoint: LoadedCheckpoint | None) -> list[Settings]:
    """Returns the settings in order: recipe or the run's own configuration, checkpoint."""
    resumed = checkpoint is not None and arguments.recipe is None and folder.config.is_file()
    sources = [read_settings(folder.config if resumed else arguments.task.recipe_file(arguments.recipe_name))]
    if checkpoint is not None:
        saved = {key: checkpoint.record[key] for key in ("model", "data", "stages")}
        # A network is that of its checkpoint alone: what the record leaves out is the default of its class, not the
        # recipe's value.
        recipe = sources[0].get("model", {})
        sources[0] = sources[0] | {"model": {key: value for key, value in recipe.items() if key not in saved["model"]}}
        sources.append(saved)
    return sources
