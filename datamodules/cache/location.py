"""The folder of the cache where none is named."""

import logging
import os
import tempfile
from functools import lru_cache
from pathlib import Path

from datamodules.errors import DataError

_log = logging.getLogger("darkroom")


def user_cache_dir() -> Path:
    """Darkroom's folder in the user's cache; it may be removed at any time.

    ``$DARKROOM_CACHE`` where it is set, else ``$XDG_CACHE_HOME/darkroom``, else ``~/.cache/darkroom``. If there is no
    home folder or it cannot be written to, as is usual for containers with a user ID of their own, a private folder in
    the system's temporary folder is used, with a warning.

    Raises:
        DataError: if the temporary folder cannot be used either.
    """
    if named := os.environ.get("DARKROOM_CACHE"):
        return _expanded(Path(named))
    parent = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(parent) if parent else Path.home() / ".cache") / "darkroom"
    except RuntimeError:
        return _temporary_folder("there is no home folder")
    if _writable(folder):
        return folder
    return _temporary_folder(f"{folder} cannot be written to")


def _expanded(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise DataError(f"DARKROOM_CACHE {folder}: there is no home folder; name an absolute path") from error


def _writable(folder: Path) -> bool:
    """Whether files can be created in ``folder``, which is created if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@lru_cache
def _temporary_folder(reason: str) -> Path:
    """The same folder for all processes of a user, which only that user can read; warns once."""
    folder = Path(tempfile.gettempdir()) / f"darkroom-{_user_id()}"
    way_out = "name a folder for the cache with --data.cache_dir FOLDER or the environment variable DARKROOM_CACHE"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise DataError(f"{reason}, nor can {folder} ({error.strerror or error}): {way_out}") from error
    # In a folder that everybody may write to, another user may have created this name first.
    if folder.is_symlink() or (hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077)):
        raise DataError(f"{reason}, and {folder} is not a private folder of this user: {way_out}")
    _log.warning("%s: the cache is in the temporary folder %s; to keep it, %s", reason, folder, way_out)
    return folder


def _user_id() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
