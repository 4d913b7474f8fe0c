"""Where prepared data is kept when nobody says otherwise."""

import os
from pathlib import Path


def user_cache_dir() -> Path:
    """The user's own cache folder for Darkroom; it may be removed at any time and is not made here.

    ``DARKROOM_CACHE`` names it outright, else ``XDG_CACHE_HOME`` names its parent, else that is ``~/.cache``.
    """
    named = os.environ.get("DARKROOM_CACHE")
    if named:
        return Path(named).expanduser()
    parent = os.environ.get("XDG_CACHE_HOME")
    return (Path(parent) if parent else Path.home() / ".cache") / "darkroom"
