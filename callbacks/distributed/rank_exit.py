"""Ends a rank without finalizing Python.

Gloo's threads release the tensors of finished collectives, for which they need the GIL (PyTorch #179291). Before
Python 3.14, a thread that requests the GIL while Python is being finalized is ended in the middle of C++ code. That
aborts the process: "terminate called without an active exception", exit code -6, after a complete run.
"""

import atexit
import os
import sys
from contextlib import suppress

from callbacks.distributed.exit_codes import FAILURE

_is_rank = False
_code = FAILURE


def install() -> None:
    """Prepares the end of the program; called before anything else that registers with ``atexit``.

    ``atexit`` calls the functions registered first last, when all others have done their work.
    """
    atexit.register(_exit)


def skip_finalization() -> None:
    """Notes that this process is one of several ranks."""
    global _is_rank
    _is_rank = True


def set_exit_code(code: int) -> None:
    """Sets the exit code of a rank; without it, the program ended with an exception."""
    global _code
    _code = code


def _exit() -> None:
    if _is_rank:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # full, closed, or absent since the start
                stream.flush()
        os._exit(_code)
