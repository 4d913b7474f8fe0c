"""Allows one run at a time in a folder: rank 0 holds a lock that the kernel releases when the process ends."""

import errno
import importlib.util
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from filelock import FileLock, Timeout

from experiments.cli.usage import UsageError
from experiments.runs.folder import LOCK

#: ``None`` on Windows, where ``filelock`` takes its place.
_fcntl: ModuleType | None = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class InUseError(UsageError):
    """Another process uses the folder.

    Args:
        message: for the user.
        holder: who uses it.
    """

    def __init__(self, message: str, holder: str = "another run") -> None:
        super().__init__(message)
        self.holder = holder


class RunLock:
    """Locks a folder until the process or a ``with`` block ends; creates the folder if needed.

    The lock belongs to the process (``fcntl``), so it is released however the process ends, on shared file systems
    too, and there are no stale locks to remove. Forked processes do not inherit it.

    Args:
        folder: folder of the run.

    Raises:
        InUseError: if another process holds the lock; the message names it.
        UsageError: if the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._created = [parent for parent in folder.parents if not parent.exists()]  # the innermost first
        self._windows_lock = FileLock(folder / LOCK, timeout=0)
        try:
            if _fcntl is None:
                self._lock_on_windows()
                return
            self._file = _open_locked(folder / LOCK, _fcntl)
        except BlockingIOError as error:
            holder = _holder(folder / LOCK)
            raise InUseError(
                f"{folder} is in use by {holder}: wait for it, stop it, or choose another --name", holder
            ) from error
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be written to ({error.strerror or error}): choose another --runs FOLDER"
            ) from error
        with suppress(OSError):  # a full disk; the text is information for users only
            os.ftruncate(self._file, 0)
            os.write(self._file, f"process {os.getpid()} on {socket.gethostname()} since {time.ctime()}".encode())

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_: object) -> None:
        """Releases the lock, and removes the folders that were created if they are empty."""
        self._windows_lock.release()  # does nothing elsewhere; an open file cannot be removed on Windows
        with suppress(OSError):
            (self.folder / LOCK).unlink()
        with suppress(OSError):
            for folder in (self.folder, *self._created):
                folder.rmdir()
        if _fcntl is not None:
            os.close(self._file)

    def _lock_on_windows(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._windows_lock.acquire()
        except Timeout as error:
            raise BlockingIOError(errno.EAGAIN, "the lock is held") from error


def _open_locked(path: Path, fcntl: ModuleType) -> int:
    """Opens and locks a file, and creates its folder.

    Raises:
        BlockingIOError: if another process holds the lock.
        OSError: if the file cannot be opened.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file: int = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # its last holder has just removed the folder
            continue
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_in_place(path, file):
                return file
            os.close(file)  # its last holder has just removed the file that is locked now
        except OSError as error:
            if (
                error.errno in _NO_LOCKS
            ):  # some network file systems have no locks: two runs of one name are then not detected
                return file
            os.close(file)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise BlockingIOError(error.errno, error.strerror) from error
            raise


def _is_in_place(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    # Closing a file releases all locks of the process on it; here the process holds none.
    with suppress(OSError):
        if text := path.read_text(encoding="utf-8", errors="replace"):
            return f"another run ({text})"
    return "another run"
