"""The folder of the cache where none is named."""

import os
from pathlib import Path


def user_cache_dir() -> Path:
    """Darkroom's folder in the user's cache; it may be removed at any time and is not created here.

    ``$DARKROOM_CACHE`` where it is set, else ``$XDG_CACHE_HOME/darkroom``, else ``~/.cache/darkroom``.
    """
    named = os.environ.get("DARKROOM_CACHE")
    if named:
        return Path(named).expanduser()
    parent = os.environ.get("XDG_CACHE_HOME")
    return (Path(parent) if parent else Path.home() / ".cache") / "darkroom"
