"""Removes messages and warnings that carry no information about the run."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Advertisements, absent hardware, and a message that Lightning repeats for every checkpoint.
_DROPPED = ("💡", "GPU available", "TPU available", "HPU available", "`weights_only` was not set")
_LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.trainer.connectors.checkpoint_connector")
# Warnings about intended behavior, and about Lightning's own code.
_EXPECTED_WARNINGS = (
    r"Found \d+ module\(s\) in eval mode at the start of training",  # frozen layers
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # lightning under torch 2.11 and later
    r"Precision \S+ is not supported by the model summary",  # an estimate of memory
    r"The `srun` command is available on your system but is not used",  # a login node, or a single process
    r"The '\w+' does not have many workers",  # limited by the machine; the option is data.num_workers
)


@contextmanager
def filter_logs() -> Iterator[None]:
    """Drops these messages and warnings inside a ``with`` block."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(_is_informative)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_informative)


def _is_informative(record: logging.LogRecord) -> bool:
    return not record.getMessage().lstrip().startswith(_DROPPED)
