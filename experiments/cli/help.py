"""The short help: tasks, commands, recipes, the most used options, and examples. Imports no torch."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from experiments.cli.usage import UsageError
from experiments.commands.table import COMMANDS
from experiments.runs.command_line import documented_program
from experiments.tasks.table import TASKS, Task

COMMON_OPTIONS = {
    "--recipe NAME": "a shipped recipe (see below); without it the default of the task",
    "--config FILE": "your own YAML, which overrides the recipe; may be given several times",
    "--data.root FOLDER": "your images; without it sample images are generated",
    "--epochs 4, --batch_size 8, --lr 1e-3": "fields of all stages; of one: --stages.0.epochs 4",
    "--seed 1": "seed of the run (--seed_everything), a number; 0 without it",
    "--model.net.encoder NAME": "any argument of the network; --trainer.precision bf16-mixed: of Lightning's Trainer",
    "--name NAME": "name of the run, saved in runs/<task>/<name>",
    "--resume [FOLDER]": "continue a run; without FOLDER the newest one",
    "--init_from FILE|NAME": "start a new run from the weights of a checkpoint, or of a network that ships",
    "--ckpt_path FILE, --net NAME": "checkpoint or shipped network of validate, test, predict, export and show",
    "--trust-config": "allow a configuration to name classes of any package",
    "--help_all, --print_config": "list every option; print the configuration and stop",
}


def short_help(task_name: str | None, rest: Sequence[str]) -> str:
    """Returns the help.

    Args:
        task_name: task of the command line, if there is one.
        rest: the other words; commands among them are described first.

    Raises:
        UsageError: if the task does not exist.
    """
    if task_name is not None and task_name not in TASKS:
        raise UsageError(f"unknown task '{task_name}'. There are: {', '.join(TASKS)}")
    tasks = {task_name: TASKS[task_name]} if task_name else TASKS
    example, start = next(iter(tasks)), documented_program()
    named = [word for word in rest if word in COMMANDS]
    lines = [f"usage: {start} --task TASK [COMMAND] [options]", ""]
    for name in named:
        lines += [
            f"{name}: {COMMANDS[name].summary}",
            f"  its options: add --help_all to --task {example} {name}",
            "",
        ]
    lines += _table("tasks", {name: task.summary for name, task in TASKS.items()})
    lines += _table("commands", {name: command.summary for name, command in COMMANDS.items()})
    for name, task in tasks.items():
        lines += _table(f"recipes of {name} (--recipe)", _recipes(task))
    lines += _table("common options", COMMON_OPTIONS)
    lines += [
        "examples",
        f"  {start} --task {example}",
        f"  {start} --task {example} --data.root my/images --name mine",
        f"  {start} --task {example} predict image.jpg",
    ]
    return "\n".join(lines)


def versions() -> str:
    """Returns the versions of Darkroom and of the libraries that decide its results."""
    found = []
    for package in ("darkroom", "torch", "torchvision", "lightning"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} is not installed" if package != "darkroom" else "darkroom (a clone)")
    return "\n".join(found)


def _table(title: str, rows: dict[str, str]) -> list[str]:
    width = max(map(len, rows), default=0)
    return [title, *(f"  {name:{width}}  {text}" for name, text in rows.items()), ""]


def _recipes(task: Task) -> dict[str, str]:
    return {
        name + (" (default)" if name == task.recipe else ""): _first_comment(task.recipe_file(name))
        for name in task.recipe_names()
    }


def _first_comment(recipe: Path) -> str:
    """Returns the first line of a recipe, which describes it."""
    with recipe.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").rstrip()
