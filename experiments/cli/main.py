"""Parses the command line and runs the command."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from callbacks.distributed.error_files import program_name
from callbacks.distributed.exit_codes import DONE, MISTAKE
from experiments.cli.arguments import read_arguments, split_options
from experiments.cli.command_words import command_of_one_task, standalone_command
from experiments.cli.help import short_help, versions
from experiments.cli.usage import UsageError


def main(argv: Sequence[str]) -> int:
    """Runs the command that ``argv`` names.

    Args:
        argv: the words after the program's name.

    Returns:
        Exit code: 0 done, 1 failure, 2 user's mistake, 75 stopped and resumable, 130 stopped by a second Ctrl-C.
    """
    try:
        options, rest = split_options(argv)
        if options.help:
            print(short_help(options.task, rest))
            return DONE
        if options.version:
            print(versions())
            return DONE
        if (command := standalone_command(options, rest)) is not None:
            return command.run_standalone(options.task)
        if (found := command_of_one_task(options, rest)) is not None:
            return found[0].run_words(options, found[1])
        arguments = read_arguments(argv)
        # Imported late: torch takes seconds.
        if arguments.folds is not None:
            from experiments.cli.folds import run_folds

            return run_folds(arguments, arguments.folds)
        with paused_garbage_collection():
            from experiments.cli.runner import run_command

        return run_command(arguments)
    except UsageError as error:
        print(f"{program_name()}: {error}", file=sys.stderr)
        return MISTAKE


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Pauses Python's garbage collection while modules are imported, which takes a quarter less time.

    Importing creates about a million objects that all stay. They are then left out of all later collections.
    """
    if "torch" in sys.modules or not gc.isenabled():  # called from Python: collection is the caller's
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
