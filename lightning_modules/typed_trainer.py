"""Attributes of ``Trainer`` that Lightning sets in its connectors and does not declare."""

from typing import Any, Protocol, cast

from lightning import Callback, Trainer


class TypedTrainer(Protocol):
    """The undeclared attributes that this project uses.

    Attributes:
        datamodule: the data module of the current run.
        fast_dev_run: number of batches of a smoke test, or whether it is one; nothing is logged or saved then.
        callbacks: all callbacks, in the order in which they are called.
        log_every_n_steps: optimizer steps between two logged values.
        reload_dataloaders_every_n_epochs: 1 rebuilds the loaders before the next epoch, 0 never does.
    """

    datamodule: Any
    fast_dev_run: int | bool
    callbacks: list[Callback]
    log_every_n_steps: int
    reload_dataloaders_every_n_epochs: int


def typed(trainer: Trainer) -> TypedTrainer:
    """Returns ``trainer`` itself under the type that declares these attributes."""
    return cast(TypedTrainer, trainer)


def ends_step(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the optimizer steps after batch ``batch_idx`` (from 0), and not only accumulates its gradient."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0
