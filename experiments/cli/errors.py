"""Faults of the machine as one line that a person can act on: full disks, lost folders, too little memory."""

import errno
import os
import re

from experiments.cli.expected import FAILURES, MISTAKES

#: What a disk, a file system or its owner can refuse; any other error of the system is a fault of ours.
_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.ENOENT,
    errno.EMFILE,
}
_KEPT = "what was saved before is whole; mend that, then go on with --resume"
_LOADER_DIED = re.compile(r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) .*", re.DOTALL)
_IN_A_LOADER = re.compile(r"Caught (\w+) in DataLoader worker process \d+\.\n.*\n(?:[\w.]+\.)?\1: ", re.DOTALL)


def one_line(error: BaseException) -> str | None:
    """What is said of an error that was expected; ``None`` for all others, whose traceback is needed.

    >>> one_line(ValueError("of ours, most likely")) is None
    True
    """
    return without_traceback(error) if isinstance(error, (*MISTAKES, *FAILURES)) else plain_fault(error)


def without_traceback(error: BaseException) -> str:
    r"""The message alone where a loader's process raised it: torch puts that process' traceback in front.

    >>> without_traceback(ValueError("Caught ValueError in DataLoader worker process 0.\nOriginal Traceback:"
    ...     "\n  File ...\nValueError: images/p0.png: is empty\n"))
    'images/p0.png: is empty'
    """
    return _IN_A_LOADER.sub("", str(error), count=1).strip()


def plain_fault(error: BaseException) -> str | None:
    """Says in one line what the machine refused; ``None`` where the fault may be the program's own.

    >>> plain_fault(OSError(errno.ENOSPC, "No space left on device", "runs/a/events"))  # doctest: +ELLIPSIS
    'runs/a/events: No space left on device; what was saved before is whole; ...'
    >>> plain_fault(KeyError("x")) is None
    True
    """
    if isinstance(error, OSError) and error.errno in _DISK:
        place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return f"{place}{error.strerror}; {_KEPT}"
    text = str(error)
    if isinstance(error, RuntimeError) and _LOADER_DIED.match(text):
        return (
            f"a process that loads images ended ({text.splitlines()[0]}), most likely for want of memory: lower "
            f"--data.num_workers; {_KEPT}"
        )
    return None
