"""Paths that begin with ``~``."""

import os
from pathlib import Path


def expand_home(path: str | os.PathLike[str]) -> Path:
    """Replaces a leading ``~`` or ``~user`` by the home folder; without one, or for an unknown user, it stays.

    ``Path.expanduser`` raises ``RuntimeError`` there. The path that stays does not exist, and is reported as such.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - never raises
