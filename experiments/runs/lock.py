"""One run at a time in a folder: the first process of a run holds a lock that the kernel drops when it dies."""

import errno
import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from experiments.cli.usage import UsageError

LOCK = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class InUseError(UsageError):
    """Another run writes to the folder."""


class RunLock:
    """Holds a folder for as long as the process lives or a ``with`` block lasts, and makes it if it is not there.

    A lock of the process (``fcntl``), not the mere presence of a file: whatever kills the process frees the folder,
    at once and on shared file systems too, so nobody ever has to remove a stale lock. Processes that are forked do not
    inherit it.

    Args:
        folder: of the run.

    Raises:
        InUseError: if another process holds it; the message says which.
        UsageError: if the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = [parent for parent in folder.parents if not parent.exists()]  # the innermost first
        try:
            self._file = _locked(folder / LOCK)
        except BlockingIOError as error:
            raise InUseError(
                f"{folder} is in use by {_holder(folder / LOCK)}: wait for it, stop it, or choose another --name"
            ) from error
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be written to ({error.strerror or error}): name a place for runs with --runs FOLDER"
            ) from error
        with suppress(OSError):  # a full disk; the words are for people only
            os.ftruncate(self._file, 0)
            os.write(self._file, f"process {os.getpid()} on {socket.gethostname()} since {time.ctime()}".encode())

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_: object) -> None:
        """Frees the folder, and removes it and those made around it if nothing was put into them."""
        with suppress(OSError):
            (self.folder / LOCK).unlink()
        with suppress(OSError):
            for folder in (self.folder, *self._made):
                folder.rmdir()
        os.close(self._file)


def _locked(path: Path) -> int:
    """Opens and locks a file, whose folder is made.

    Raises:
        BlockingIOError: if somebody else holds it.
        OSError: if it cannot be opened.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # its last holder has just removed the folder
            continue
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, file):
                return file
            os.close(file)  # its last holder has just removed it: what is locked is no longer in the folder
        except OSError as error:
            if error.errno in _NO_LOCKS:  # some network file systems: two runs of one name are then not noticed
                return file
            os.close(file)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise BlockingIOError(error.errno, error.strerror) from error
            raise


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    # Read as a whole and closed: this process holds no lock on the file that closing could drop.
    with suppress(OSError):
        if words := path.read_text(encoding="utf-8", errors="replace"):
            return f"another run ({words})"
    return "another run"
