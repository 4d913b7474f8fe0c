"""Applies a network to data with a writer of the results."""

import time

from lightning import Callback, LightningDataModule, LightningModule, Trainer

from lightning_modules.typed_trainer import typed


def predict_into(writer: Callback, trainer: Trainer, model: LightningModule, data: LightningDataModule) -> float:
    """Applies ``model`` to ``data`` with ``writer`` as an additional callback of ``trainer``.

    Returns:
        Duration in seconds.
    """
    callbacks = typed(trainer).callbacks
    callbacks.append(writer)
    start = time.monotonic()
    try:
        trainer.predict(model, datamodule=data, return_predictions=False)
    finally:
        callbacks.remove(writer)
    return time.monotonic() - start
