"""Calibrates ``StyleLoss`` before training: sets its style image and the normalization of its parts."""

import warnings

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_modules.style import CALIBRATION_IMAGES, StyleModule
from lightning_modules.typed_trainer import typed
from models.losses.style import CONTENT_PARTS, StyleLoss


class StyleCalibration(Callback):
    """Sets the style target and the normalization of ``StyleLoss`` once before training, identically on all ranks.

    Runs in ``setup``: before averaged weights are copied from the module, which would otherwise validate with a loss
    that has no style; before a checkpoint is restored, so that a resumed run keeps its normalization; and after
    weights were loaded from another run, which may have had another style image.

    Args:
        count: number of training images to measure, at the size of the first stage.

    Warns:
        UserWarning: if the module has no ``StyleLoss``.
    """

    def __init__(self, *, count: int = CALIBRATION_IMAGES) -> None:
        self.count = count

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Calibrates on the device of this rank.

        Raises:
            TypeError: if the data module has no style image.
        """
        if stage != "fit":
            return
        if not isinstance(pl_module, StyleModule):
            warnings.warn(f"StyleCalibration found no StyleLoss in {type(pl_module).__name__}", stacklevel=2)
            return
        loss = pl_module.loss.to(trainer.strategy.root_device)
        loss.load()
        pl_module.calibrate(typed(trainer).datamodule, count=self.count)
        loss.cpu()  # the trainer moves the whole module later
        if trainer.world_size > 1:  # GPUs may differ in the last bits
            loss.load_state_dict(trainer.strategy.broadcast(loss.state_dict()))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints and logs the calibration, except in a resumed run."""
        if not isinstance(pl_module, StyleModule) or trainer.global_step > 0 or not trainer.is_global_zero:
            return
        lines = calibration_lines(pl_module.loss)
        print("\n".join(lines))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("run/calibration", "\n".join(f"    {line}" for line in lines), 0)


def calibration_lines(loss: StyleLoss) -> list[str]:
    """Formats the parts of a calibrated loss as a table: weight, unit, and value on untouched images."""
    how = "parts are in units of untouched images" if loss.balance else "parts are not balanced"
    if loss.styles > 1:
        how += f"; mean of {loss.styles} styles"
    lines = [f"style loss, {how}; features: {loss.weights_origin}"]
    lines.append(f"  {'part':10}{'weight':>10}{'unit':>12}{'untouched':>12}")
    total = 0.0
    units = loss.mean_units()
    for name, weight in loss.part_weights.items():
        if not weight:
            continue
        untouched = 0.0 if name in CONTENT_PARTS else weight * (1.0 if loss.balance else units[name])
        total += untouched
        lines.append(f"  {name:10}{weight:10.4g}{units[name]:12.4g}{untouched:12.4g}")
    return [*lines, f"  {'loss':10}{'':22}{total:12.4g}"]
