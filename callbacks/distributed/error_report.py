"""Records the exception that ends a rank, so that the original failure is reported and not its consequences."""

import os
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch.distributed.elastic.multiprocessing.errors import ErrorHandler

from callbacks.distributed.error_files import errors_folder, write_error
from callbacks.errors import InterruptedRunError

#: Seconds that a rank waits after it lost the connection to another one, so that the other one records its error first.
CONSEQUENCE_DELAY = 3.0
# Gloo raises plain RuntimeErrors for lost connections. Which of its two time-outs comes first varies.
_CONNECTION_ERRORS = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
    "Application timeout caused pair closure",
    "Socket Timeout",
)


class ErrorReport(Callback):
    """Records the exception that ends a fit, test or prediction on several ranks.

    Args:
        one_line: returns the message of an expected error, or ``None`` for an error whose traceback is needed.
    """

    def __init__(self, one_line: Callable[[BaseException], str | None]) -> None:
        self.one_line = one_line

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Records ``exception``."""
        if trainer.world_size > 1:
            if is_consequence(exception):
                time.sleep(CONSEQUENCE_DELAY)
            record_error(exception, rank=trainer.global_rank, message=self.one_line(exception))


def is_consequence(error: BaseException) -> bool:
    """Whether ``error`` only reports that another rank is gone or does not respond.

    >>> is_consequence(RuntimeError("[pair.cc:547] Connection closed by peer [127.0.0.1]:4242"))
    True
    >>> is_consequence(RuntimeError("a Tensor with 2 elements cannot be converted to Scalar"))
    False
    """
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CONNECTION_ERRORS)


def record_error(error: BaseException, *, rank: int, message: str | None) -> None:
    """Writes ``error`` where the launcher of the ranks reads it: our own launcher, torchrun or a script.

    An intended end (signal, Ctrl-C, ``sys.exit``) is not recorded.

    Args:
        error: the exception that ends the process. Call this while it is handled.
        rank: rank of the process.
        message: its one-line message, or ``None`` to record the traceback.
    """
    if isinstance(error, InterruptedRunError | KeyboardInterrupt | SystemExit):
        return
    if "TORCHELASTIC_ERROR_FILE" in os.environ and not Path(os.environ["TORCHELASTIC_ERROR_FILE"]).exists():
        ErrorHandler().record_exception(error)
    if folder := errors_folder():
        text = "".join(traceback.format_exception(error)) if message is None else f"{message}\n"
        report = f"process {rank} on {socket.gethostname()} failed first:\n{text}"
        write_error(folder, report, rank=rank, consequence=is_consequence(error))
