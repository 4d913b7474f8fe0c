"""Shows the loss of style its painting and its units, the same on every process, and says what they came to."""

import warnings
from typing import Any, Protocol, runtime_checkable

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from lightning_modules.typed_trainer import typed
from models.losses.style import FROM_IMAGE, StyleLoss


@runtime_checkable
class CalibrationData(Protocol):
    """The side of a data module that calibration talks to."""

    def style(self) -> Tensor:
        """The painting, (3, h, w) float32 in [0, 1]."""
        ...

    def calibration_images(self, count: int) -> Tensor:
        """The first training images, (N, 3, S, S) float32 in [0, 1], the same ones on every process."""
        ...


class Calibration(Callback):
    """Measures what each part of ``StyleLoss`` is for untouched images, once, before a run starts.

    It acts in ``setup``: before averaged weights are copied from the module, which would otherwise validate by a loss
    without a style; before a checkpoint is restored, so that a resumed run keeps the units it began with; and after
    weights were taken from another run, whose painting was another one.

    Args:
        count: images to measure, of the first stage.

    Warns:
        UserWarning: if the module's loss is none of style, so that nothing could be measured.
    """

    def __init__(self, *, count: int = 16) -> None:
        self.count = count

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Sets style and units.

        Raises:
            TypeError: if the data bring no painting along.
        """
        if stage != "fit":
            return
        loss, data = _loss_of(pl_module), typed(trainer).datamodule
        if loss is None:
            warnings.warn(f"Calibration found no StyleLoss in {type(pl_module).__name__}", stacklevel=2)
            return
        if not isinstance(data, CalibrationData):
            raise TypeError(f"{type(data).__name__} needs style() and calibration_images(count) to calibrate by")
        loss.to(trainer.strategy.root_device)
        loss.load()
        loss.set_style(data.style())
        loss.calibrate(data.calibration_images(self.count))
        loss.cpu()  # the trainer moves all of the module later
        if trainer.world_size > 1:  # graphics cards may differ in the last bits
            loss.load_state_dict(trainer.strategy.broadcast(loss.state_dict()))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports, on the screen and in TensorBoard; a resumed run has done so."""
        loss = _loss_of(pl_module)
        if loss is None or trainer.global_step > 0 or not trainer.is_global_zero:
            return
        lines = calibration_lines(loss)
        print("\n".join(lines))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("run/calibration", "\n".join(f"    {line}" for line in lines), 0)


def calibration_lines(loss: StyleLoss) -> list[str]:
    """Writes the parts of the loss as a table: weight, unit, and what untouched images have.

    Args:
        loss: calibrated.
    """
    how = "parts are in units of untouched images" if loss.balance else "parts are bare, not balanced"
    lines = [f"loss of style, {how}; features: {loss.weights_origin}"]
    lines.append(f"  {'part':10}{'weight':>10}{'unit':>12}{'untouched':>12}")
    total = 0.0
    for (name, weight), unit in zip(loss.part_weights.items(), loss.units.tolist(), strict=True):
        if not weight:
            continue
        untouched = 0.0 if name in FROM_IMAGE else weight * (1.0 if loss.balance else unit)
        total += untouched
        lines.append(f"  {name:10}{weight:10.4g}{unit:12.4g}{untouched:12.4g}")
    return [*lines, f"  {'loss':10}{'':22}{total:12.4g}"]


def _loss_of(module: Any) -> StyleLoss | None:
    loss = getattr(module, "loss", None)
    return loss if isinstance(loss, StyleLoss) else None
