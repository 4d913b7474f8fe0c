"""Errors of usage: one line each, with the most similar valid name."""

from collections.abc import Collection
from difflib import get_close_matches


class UsageError(Exception):
    """The command line or a configuration file is wrong; printed as one line, exit code 2."""


def nearest(word: str, names: Collection[str]) -> str | None:
    """Returns the name most similar to ``word``, if one is similar.

    >>> nearest("tset", ["fit", "test", "predict"])
    'test'
    >>> nearest("zebra", ["fit", "test"]) is None
    True
    """
    return next(iter(get_close_matches(word, names, n=1, cutoff=0.5)), None)


def unknown(kind: str, word: str, names: Collection[str]) -> UsageError:
    """Returns the error for a name that does not exist.

    >>> print(unknown("task", "segmnt", ["segment", "sr"]))
    unknown task 'segmnt': did you mean 'segment'? There are: segment, sr
    """
    return UsageError(f"unknown {kind} '{word}'{did_you_mean(word, names)} There are: {', '.join(names)}")


def did_you_mean(word: str, names: Collection[str]) -> str:
    """Returns ``": did you mean 'x'?"``, or ``"."`` if no name is similar."""
    near = nearest(word, names)
    return f": did you mean '{near}'?" if near else "."
