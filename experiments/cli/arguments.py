"""Parses the options that select task, command and run. Imports no torch, so that mistakes are reported at once."""

from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.cli.command_words import take_command
from experiments.cli.contradictions import refuse_contradictions
from experiments.cli.usage import UsageError, nearest, unknown
from experiments.commands.table import COMMANDS
from experiments.networks import find_network, list_networks
from experiments.tasks.table import TASKS, Task

NEWEST = "newest"
#: Common names of options, and what they set.
ALIASES = {
    "--epochs": "--stages.all.epochs",
    "--batch_size": "--stages.all.batch_size",
    "--lr": "--stages.all.lr",
    "--learning_rate": "--stages.all.lr",
    "--seed": "--seed_everything",
}
SWITCHES = ("--compile", "--profile")
#: Files that may follow the first one of ``--ckpt_path``.
CHECKPOINT_SUFFIXES = (".ckpt", ".safetensors")
OPTIONS = (
    "--task",
    "--recipe",
    "--name",
    "--runs",
    "--resume",
    "--init_from",
    "--ckpt_path",
    "--net",
    "--folds",
    "--onnx",
    "--config",
)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The parsed command line; task, recipe and command exist.

    Args:
        task_name: key of the task table.
        command: key of the command table.
        recipe: name of the recipe; ``None`` selects the default.
        name: name of the run; ``None`` selects one from the recipe.
        runs: folder of all runs.
        resume: run to resume: a folder, a name, or ``NEWEST``; ``None`` starts a new run.
        init_from: checkpoint whose weights the run starts from.
        ckpt_path: ``"best"``, ``"last"``, or a file; with ``--net``, the file of the network that ships.
        folds: number of folds of the groups, one network for each; ``None`` trains one network.
        more_checkpoints: further files of ``--ckpt_path``, whose networks are averaged with the first.
        configs: configuration files; later ones override earlier ones.
        flags: all other words, for the full parser.
        trust_config: whether a configuration may name classes of any package.
        help_all: whether to print the help of the full parser.
    """

    task_name: str
    command: str
    recipe: str | None
    name: str | None
    runs: Path
    resume: str | None
    init_from: Path | None
    ckpt_path: str | None
    folds: int | None
    more_checkpoints: tuple[Path, ...]
    configs: tuple[Path, ...]
    flags: tuple[str, ...]
    trust_config: bool
    help_all: bool

    @property
    def task(self) -> Task:
        """Row of the task table."""
        return TASKS[self.task_name]

    @property
    def recipe_name(self) -> str:
        """Name of the recipe in use."""
        return self.recipe or self.task.recipe


def make_parser() -> ArgumentParser:
    """Returns the parser of these options; all other words are for the full parser."""
    parser = ArgumentParser(allow_abbrev=False, add_help=False, exit_on_error=False)
    parser.add_argument("--task")
    parser.add_argument("--recipe")
    parser.add_argument("--name")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--resume", nargs="?", const=NEWEST)
    parser.add_argument("--init_from")
    parser.add_argument("--ckpt_path")
    parser.add_argument("--net")
    parser.add_argument("--folds", type=int)
    parser.add_argument("--onnx")
    parser.add_argument("--config", "-c", action="append", default=[])
    parser.add_argument("--trust-config", "--trust_config", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--help_all", "--help-all", action="store_true")
    return parser


def read_arguments(argv: Sequence[str]) -> Arguments:
    """Parses the command line.

    Raises:
        UsageError: for a name that does not exist, or options that exclude each other.
    """
    argv, more_checkpoints = take_more_checkpoints(argv)
    options, rest = split_options(argv)
    if options.task is None:
        _refuse_near_miss(rest)
        raise UsageError(f"which task? Add one of: {', '.join(f'--task {name}' for name in TASKS)} (-h for help)")
    if options.task not in TASKS:
        raise unknown("task", options.task, TASKS)
    task = TASKS[options.task]
    if options.resume in COMMANDS and not Path(options.resume).exists():
        options.resume, rest = NEWEST, [options.resume, *rest]  # "--resume fit": fit is the command and not a run
    command, flags = take_command(rest)
    if options.recipe is not None and options.recipe not in task.recipe_names():
        hint = " To use your own file write --config FILE." if options.recipe.endswith((".yaml", ".yml")) else ""
        raise UsageError(f"{unknown('recipe', options.recipe, task.recipe_names())}{hint}")
    refuse_contradictions(options, command, newest=NEWEST)
    if more_checkpoints and command not in ("predict", "test"):
        raise UsageError(f"{command} takes one checkpoint; predict and test average several")
    return Arguments(
        task_name=options.task,
        command=command,
        recipe=options.recipe,
        name=_run_name(options.name),
        runs=Path(options.runs),
        resume=options.resume,
        init_from=_init_from(options.init_from, options.task) if options.init_from else None,
        ckpt_path=_checkpoint_file(options),
        folds=options.folds,
        more_checkpoints=tuple(Path(file) for file in more_checkpoints),
        configs=tuple(Path(file) for file in options.config),
        flags=tuple(expand_aliases(flags)),
        trust_config=options.trust_config,
        help_all=options.help_all,
    )


def split_options(argv: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Separates these options from all other words.

    Raises:
        UsageError: if an option lacks its value.
    """
    try:
        return make_parser().parse_known_args(list(argv))
    except ArgumentError as error:
        raise UsageError(f"{error.argument_name}: {error.message}") from error


def take_more_checkpoints(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Removes from ``--ckpt_path A B C`` all files but the first; only files of checkpoints are taken.

    >>> take_more_checkpoints(["predict", "--ckpt_path", "a.ckpt", "b.ckpt", "c.safetensors", "image.jpg"])
    (['predict', '--ckpt_path', 'a.ckpt', 'image.jpg'], ['b.ckpt', 'c.safetensors'])
    """
    words, taken = list(argv), list[str]()
    for position in [place for place, word in enumerate(words) if word.split("=")[0] == "--ckpt_path"][:1]:
        following = position + (1 if "=" in words[position] else 2)
        while following < len(words) and words[following].endswith(CHECKPOINT_SUFFIXES):
            taken.append(words.pop(following))
    return words, taken


def expand_aliases(flags: Sequence[str]) -> list[str]:
    """Replaces common names of options by Darkroom's, and completes those of ``SWITCHES``, which take no value.

    >>> expand_aliases(["--epochs", "3", "--batch-size=8", "--trainer.max_steps", "9"])
    ['--stages.all.epochs', '3', '--stages.all.batch_size=8', '--trainer.max_steps', '9']
    >>> expand_aliases(["--profile"])
    ['--profile=true']
    """
    expanded = []
    for flag in flags:
        option, equals, value = flag.partition("=")
        if flag in SWITCHES:
            equals, value = "=", "true"
        expanded.append(f"{ALIASES.get(_underscored(option), option)}{equals}{value}")
    return expanded


def _init_from(word: str, task: str) -> Path:
    """A file, or the name of a network that ships."""
    names = [network.name for network in list_networks(task)]
    return find_network(word, task).path if word in names and not Path(word).exists() else Path(word)


def _checkpoint_file(options: Namespace) -> str | None:
    """The file of ``--net``, ``--onnx`` or ``--ckpt_path``."""
    if options.net:
        return str(find_network(options.net, options.task).path)
    file: str | None = options.onnx or options.ckpt_path
    return file


def _run_name(name: str | None) -> str | None:
    if name is not None and (Path(name).name != name or name in ("", ".", "..")):
        raise UsageError(
            f"--name {name!r}: the name of a run is a folder name without slashes (--runs sets the parent folder)"
        )
    return name


def _underscored(option: str) -> str:
    return option.replace("-", "_").replace("__", "--", 1)


def _refuse_near_miss(rest: Sequence[str]) -> None:
    for word in rest:
        option = word.split("=")[0]
        if option in SWITCHES or _underscored(option) in ALIASES:
            continue
        if option.startswith("--") and "." not in option and (near := nearest(option, OPTIONS)):
            raise UsageError(f"unknown option '{option}': did you mean '{near}'? (-h for help)")
