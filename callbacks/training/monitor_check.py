"""Refuses callbacks that monitor a metric that does not exist, before the first step."""

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from lightning_modules.typed_trainer import typed


class MonitorCheck(Callback):
    """Compares what ``EarlyStopping`` and ``ModelCheckpoint`` monitor with the metrics of the first validation.

    Lightning validates a few batches before the training unless ``num_sanity_val_steps`` is 0 or a run is resumed; then
    the callback itself fails at its first use. Metrics of the training are not known here.

    Raises:
        MisconfigurationException: naming the metrics that exist.
    """

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks all callbacks of the trainer."""
        known = sorted(trainer.callback_metrics)
        for callback in typed(trainer).callbacks:
            if not isinstance(callback, EarlyStopping | ModelCheckpoint) or not getattr(callback, "strict", True):
                continue
            monitor = callback.monitor
            if monitor is not None and not monitor.startswith("train/") and monitor not in known:
                raise MisconfigurationException(
                    f"{type(callback).__name__}: there is no metric '{monitor}' to monitor. There are: train/loss, "
                    f"{', '.join(known)}"
                )
