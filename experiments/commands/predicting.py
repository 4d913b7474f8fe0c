"""One pass of ``predict``, with a callback of its own."""

import time

from lightning import Callback, LightningDataModule, LightningModule, Trainer

from lightning_modules.typed_trainer import typed


def predict_into(writer: Callback, trainer: Trainer, model: LightningModule, data: LightningDataModule) -> float:
    """Applies ``model`` to ``data`` while ``writer`` takes the results; the trainer is given back as it was.

    Returns:
        Seconds it took.
    """
    callbacks = typed(trainer).callbacks
    callbacks.append(writer)
    start = time.monotonic()
    try:
        trainer.predict(model, datamodule=data, return_predictions=False)
    finally:
        callbacks.remove(writer)
    return time.monotonic() - start
