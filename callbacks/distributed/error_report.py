"""Notes the error a process ends by: when one of many fails, the others fail of it a moment later and talk over it."""

import os
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch.distributed.elastic.multiprocessing.errors import ErrorHandler

from callbacks.distributed.error_files import errors_folder, leave_text
from callbacks.errors import InterruptedRunError

#: Seconds a process that lost another one waits, so that the other is seen to fail first.
BEHIND = 3.0
# Gloo raises plain RuntimeErrors for these. Which one of its two time-outs speaks is a matter of milliseconds.
_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
    "Application timeout caused pair closure",
    "Socket Timeout",
)


class FirstError(Callback):
    """Leaves the error by which a fit, test or prediction on several processes ends.

    Args:
        one_line: says an error that was expected; ``None`` of all others, whose traceback is left.
    """

    def __init__(self, one_line: Callable[[BaseException], str | None]) -> None:
        self.one_line = one_line

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves ``exception``."""
        if trainer.world_size > 1:
            if is_consequence(exception):
                time.sleep(BEHIND)
            leave(exception, rank=trainer.global_rank, said=self.one_line(exception))


def is_consequence(error: BaseException) -> bool:
    """Whether ``error`` only says that another process is gone or does not answer.

    >>> is_consequence(RuntimeError("[pair.cc:547] Connection closed by peer [127.0.0.1]:4242"))
    True
    >>> is_consequence(RuntimeError("a Tensor with 2 elements cannot be converted to Scalar"))
    False
    """
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST)


def leave(error: BaseException, *, rank: int, said: str | None) -> None:
    """Writes ``error`` where whoever started the processes looks for it: our launcher, torchrun or a script.

    Args:
        error: what the process ends by, to be called while it is handled. An end that was asked for is none, and of
            several errors of a process the first one counts.
        rank: number of the process.
        said: its one line, where that is enough.
    """
    if isinstance(error, InterruptedRunError | KeyboardInterrupt | SystemExit):
        return
    if "TORCHELASTIC_ERROR_FILE" in os.environ and not Path(os.environ["TORCHELASTIC_ERROR_FILE"]).exists():
        ErrorHandler().record_exception(error)
    if folder := errors_folder():
        text = "".join(traceback.format_exception(error)) if said is None else f"{said}\n"
        whole = f"process {rank} on {socket.gethostname()} failed first:\n{text}"
        leave_text(folder, whole, rank=rank, consequence=is_consequence(error))
