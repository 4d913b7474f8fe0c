"""Errors that are printed as one line: mistakes of the user, failures of a run, and faults of the machine."""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks.errors import CheckpointError, ExportError, NonFiniteError, OutputError, ReplicaError, StageError
from datamodules.errors import DataError, LoaderTimeoutError
from experiments.cli.parser_errors import chain_of, raised_in
from experiments.cli.usage import UsageError
from models.weights.pretrained import WeightsError

#: The user has to change something: exit code 2.
MISTAKES = (UsageError, DataError, WeightsError, CheckpointError, StageError)
#: The run failed for a known reason: exit code 1.
FAILURES = (ExportError, LoaderTimeoutError, NonFiniteError, OutputError, ReplicaError)
# What a disk or file system reports. Any other OSError is most likely a bug and keeps its traceback.
_DISK_ERRORS = {
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
_SAVED = "earlier checkpoints are intact; fix the cause, then continue with --resume"
_WORKER_DIED = re.compile(r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) .*", re.DOTALL)
_WORKER_TRACEBACK = re.compile(r"Caught (\w+) in DataLoader worker process \d+\.\n.*\n(?:[\w.]+\.)?\1: ", re.DOTALL)


def describe_error(error: BaseException) -> str | None:
    """Returns an expected error as one line; ``None`` for all others, whose traceback is needed.

    >>> describe_error(ValueError("most likely a bug")) is None
    True
    """
    if isinstance(error, FAILURES) or is_mistake(error):
        return without_worker_traceback(error)
    return describe_machine_error(error)


def is_mistake(error: BaseException) -> bool:
    """Whether the user has to change something, also if Lightning refuses a setting in the middle of a run.

    Lightning raises ``MisconfigurationException``, or plain errors from its loops and callbacks, such as the one of
    ``EarlyStopping`` for a metric that does not exist.
    """
    places = ("lightning.pytorch.callbacks", "lightning.pytorch.loops")
    refused = isinstance(error, RuntimeError | ValueError) and any(raised_in(error, place) for place in places)
    return refused or isinstance(error, (*MISTAKES, MisconfigurationException))


def without_worker_traceback(error: BaseException) -> str:
    r"""Returns the message without the traceback that torch prepends to errors of data loader workers.

    >>> without_worker_traceback(ValueError("Caught ValueError in DataLoader worker process 0.\nOriginal Traceback:"
    ...     "\n  File ...\nValueError: images/p0.png: is empty\n"))
    'images/p0.png: is empty'
    """
    return _WORKER_TRACEBACK.sub("", str(error), count=1).strip()


def describe_machine_error(error: BaseException) -> str | None:
    """Returns a fault of the disk or a killed loader as one line; ``None`` if the error may be a bug.

    >>> describe_machine_error(OSError(errno.ENOSPC, "No space left on device", "runs/a/events"))  # doctest: +ELLIPSIS
    'runs/a/events: No space left on device; earlier checkpoints are intact; ...'
    >>> describe_machine_error(KeyError("x")) is None
    True
    """
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return f"{place}{error.strerror}; {_SAVED}"
    text = str(error)
    if isinstance(error, RuntimeError) and _WORKER_DIED.match(text):
        return (
            f"a data loader worker was terminated ({text.splitlines()[0]}), most likely out of memory: lower "
            f"--data.num_workers; {_SAVED}"
        )
    return None


def recording_constructor(refusals: list[Exception]) -> Callable[..., Any]:
    """Returns a function that builds an instance of its first argument and appends what that raises to ``refusals``."""

    def construct(cls: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return cls(*args, **kwargs)
        except Exception as error:
            refusals.append(error)
            raise

    return construct


@contextmanager
def constructor_errors(refusals: Sequence[Exception] = ()) -> Iterator[None]:
    """Converts ``ValueError`` and ``TypeError`` from constructors into ``UsageError``: a setting was refused.

    So are packages that Lightning misses.

    Args:
        refusals: what constructors raised; jsonargparse drops it where it then tries another type for the value.
    """
    try:
        yield
    except (*MISTAKES, *FAILURES):
        raise
    except (MisconfigurationException, ValueError, TypeError, ModuleNotFoundError) as error:
        root: BaseException = refusals[0] if refusals else list(chain_of(error))[-1]
        if isinstance(root, (*MISTAKES, *FAILURES)):
            raise root from error
        if isinstance(root, ModuleNotFoundError) and not raised_in(root, "lightning"):
            raise  # not the report of an optional package
        raise UsageError(" ".join(str(root).split())) from error
