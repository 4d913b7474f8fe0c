"""Errors of usage, each one line with the nearest right name."""

from collections.abc import Collection
from difflib import get_close_matches


class UsageError(Exception):
    """The command line or a configuration file asks for something that cannot be; shown as one line, exit code 2."""


def nearest(word: str, names: Collection[str]) -> str | None:
    """Finds the name that ``word`` was most likely meant to be.

    >>> nearest("tset", ["fit", "test", "predict"])
    'test'
    >>> nearest("zebra", ["fit", "test"]) is None
    True
    """
    return next(iter(get_close_matches(word, names, n=1, cutoff=0.5)), None)


def unknown(kind: str, word: str, names: Collection[str]) -> UsageError:
    """Makes the error for a name that does not exist.

    >>> print(unknown("task", "segmnt", ["segment", "sr"]))
    unknown task 'segmnt': did you mean 'segment'? There are: segment, sr
    """
    return UsageError(f"unknown {kind} '{word}'{did_you_mean(word, names)} There are: {', '.join(names)}")


def did_you_mean(word: str, names: Collection[str]) -> str:
    """Gives the middle of an error line: ``": did you mean 'x'?"``, or ``"."`` where nothing is near."""
    near = nearest(word, names)
    return f": did you mean '{near}'?" if near else "."
