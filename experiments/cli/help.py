"""The short help: what there is, the options that matter, and examples. Answers without importing torch."""

from collections.abc import Sequence
from pathlib import Path

from experiments.cli.usage import UsageError
from experiments.commands.table import COMMANDS
from experiments.tasks.table import TASKS, Task

OPTIONS_THAT_MATTER = {
    "--recipe NAME": "a shipped recipe (below); without it the task's default",
    "--config FILE": "your own YAML, laid over the recipe; may be given several times",
    "--data.root FOLDER": "your images; without it sample images are drawn",
    "--stages.0.epochs 4": "any field of a stage by its number, or of --stages.all",
    "--model.net.encoder NAME": "any argument of the network",
    "--trainer.precision bf16-mixed": "any option of Lightning's Trainer",
    "--name NAME": "name of the run; its folder is runs/<task>/<name>",
    "--resume [FOLDER]": "go on with a run, by itself the newest",
    "--init_from FILE": "start a new run from a checkpoint's weights",
    "--ckpt_path best|last|FILE": "which checkpoint validate, test, predict and show use",
    "--print_config": "print what would run, and stop",
    "--trust-config": "let a configuration take classes from any package",
    "--help_all": "every option there is",
}


def short_help(task_name: str | None, rest: Sequence[str]) -> str:
    """Writes the help.

    Args:
        task_name: the task that was named, if one was.
        rest: the other words; a command among them gets its own line.

    Raises:
        UsageError: if there is no such task.
    """
    if task_name is not None and task_name not in TASKS:
        raise UsageError(f"unknown task '{task_name}'. There are: {', '.join(TASKS)}")
    tasks = {task_name: TASKS[task_name]} if task_name else TASKS
    example = next(iter(tasks))
    named = [word for word in rest if word in COMMANDS]
    lines = ["usage: python experiments/run.py --task TASK [COMMAND] [options]", ""]
    for name in named:
        lines += [
            f"{name}: {COMMANDS[name].summary}",
            f"  its own options: add --help_all to --task {example} {name}",
            "",
        ]
    lines += _table("tasks", {name: task.summary for name, task in TASKS.items()})
    lines += _table("commands", {name: command.summary for name, command in COMMANDS.items()})
    for name, task in tasks.items():
        lines += _table(f"recipes of {name} (--recipe)", _recipes(task))
    lines += _table("options that matter", OPTIONS_THAT_MATTER)
    lines += [
        "examples",
        f"  python experiments/run.py --task {example}",
        f"  python experiments/run.py --task {example} --data.root my/images --name mine",
        f"  python experiments/run.py --task {example} predict image.jpg",
        f"  python experiments/run.py --task {example} --resume",
    ]
    return "\n".join(lines)


def _table(title: str, rows: dict[str, str]) -> list[str]:
    width = max(map(len, rows), default=0)
    return [title, *(f"  {name:{width}}  {text}" for name, text in rows.items()), ""]


def _recipes(task: Task) -> dict[str, str]:
    return {
        name + (" (default)" if name == task.recipe else ""): _first_comment(task.recipe_file(name))
        for name in task.recipe_names()
    }


def _first_comment(recipe: Path) -> str:
    """The first line of a recipe's head says what it is for."""
    with recipe.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").rstrip()
