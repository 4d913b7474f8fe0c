"""Keeps out of the log what says nothing about the run."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Advertisements, hardware that is not there, and what Lightning says of every checkpoint it writes.
_NOISE = ("💡", "GPU available", "TPU available", "HPU available", "`weights_only` was not set")
_LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.trainer.connectors.checkpoint_connector")
# Warnings about what we do on purpose, and about Lightning's own code.
_KNOWN = (
    r"Found \d+ module\(s\) in eval mode at the start of training",  # frozen layers
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # lightning under torch 2.11 and later
    r"Precision \S+ is not supported by the model summary",  # a guess at megabytes
    r"The `srun` command is available on your system but is not used",  # a login node, or one process on purpose
    r"The '\w+' does not have many workers",  # a small machine has no more; the option is data.num_workers
)


@contextmanager
def quiet() -> Iterator[None]:
    """Drops messages and warnings that are noise, for the time of a ``with`` block."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(_says_something)
    try:
        with warnings.catch_warnings():
            for message in _KNOWN:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_says_something)


def _says_something(record: logging.LogRecord) -> bool:
    return not record.getMessage().lstrip().startswith(_NOISE)
