"""Finds the command among the words of the command line."""

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence

from experiments.cli.usage import UsageError, unknown
from experiments.commands.table import COMMANDS, Command
from experiments.tasks.table import TASKS

_OPTION = re.compile(r"--?[A-Za-z]")


def take_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """Finds the command among the other words, and removes it from them.

    It is the first word that is neither an option nor the value of one; ``fit`` if there is none.

    >>> take_command(["--trainer.max_epochs", "3", "test", "--data.root=x"])
    ('test', ['--trainer.max_epochs', '3', '--data.root=x'])
    >>> take_command(["--trainer.max_epochs", "3"])
    ('fit', ['--trainer.max_epochs', '3'])

    Raises:
        UsageError: if that word is not a command.
    """
    position = next(free_words(words), None)
    if position is None:
        return "fit", list(words)
    if words[position] not in COMMANDS:
        raise unknown("command", words[position], COMMANDS)
    return words[position], [*words[:position], *words[position + 1 :]]


def standalone_command(options: Namespace, words: Sequence[str]) -> Command | None:
    """Returns the command if it is one that needs neither data nor network.

    Raises:
        UsageError: if the task does not exist, or other words follow.
    """
    position = next(free_words(words), None)
    command = COMMANDS.get(words[position]) if position is not None else None
    if command is None or not command.standalone:
        return None
    if options.task not in (None, *TASKS):
        raise unknown("task", options.task, TASKS)
    if len(words) > 1:
        raise UsageError(f"{words[position or 0]} takes no other words than --task")
    return command


def command_of_one_task(options: Namespace, words: Sequence[str]) -> tuple[Command, list[str]] | None:
    """Returns the command if it reads its words itself, and those words.

    Raises:
        UsageError: if the task is another one.
    """
    position = next(free_words(words), None)
    name = words[position] if position is not None else ""
    command = COMMANDS.get(name)
    if position is None or command is None or command.task is None:
        return None
    if options.task != command.task:
        raise UsageError(f"{name} is a command of {command.task}: use --task {command.task} {name}")
    return command, [*words[:position], *words[position + 1 :]]


def free_words(words: Sequence[str]) -> Iterator[int]:
    """Yields the positions of the words that are neither options nor their values."""
    for position, word in enumerate(words):
        before = words[position - 1] if position else ""
        takes_value = _OPTION.match(before) and "=" not in before and before != "--print_config"
        if not _OPTION.match(word) and not takes_value:
            yield position
