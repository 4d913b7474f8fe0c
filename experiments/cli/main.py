"""From the words of the command line to an exit code."""

import sys
from collections.abc import Sequence

from callbacks.distributed.exit_codes import DONE, MISTAKE
from experiments.cli.arguments import read_arguments, split_words
from experiments.cli.help import short_help
from experiments.cli.usage import UsageError


def main(argv: Sequence[str]) -> int:
    """Does what the command line asks for.

    Args:
        argv: the words after the program's name.

    Returns:
        0 done, 1 a failure, 2 a user's mistake, 75 interrupted and resumable.
    """
    try:
        options, rest = split_words(argv)
        if options.help:
            print(short_help(options.task, rest))
            return DONE
        arguments = read_arguments(argv)
        # Only now: it brings torch, which takes seconds.
        from experiments.cli.plan import execute

        return execute(arguments)
    except UsageError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return MISTAKE
