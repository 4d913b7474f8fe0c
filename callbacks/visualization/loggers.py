"""Writes images and text to whatever loggers a trainer has, and figures to PNG files."""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from lightning import Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from torch import Tensor

from callbacks.errors import OutputError
from callbacks.output_file import save_png


@runtime_checkable
class ImageLogger(Protocol):
    """A logger that takes images, as ``WandbLogger`` does."""

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Logs ``(H, W, 3)`` uint8 images under ``key``."""
        ...


def log_image(logger: Logger, tag: str, image: Tensor, *, step: int) -> None:
    """Logs an image if the logger takes images: TensorBoard, Weights & Biases, MLflow.

    Args:
        logger: any logger of Lightning.
        tag: name of the image.
        image: uint8 ``(3, H, W)``.
        step: optimizer step.
    """
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(tag, image, step)
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_image(logger.run_id, _pixels(image), key=tag, step=step)
    elif isinstance(logger, ImageLogger):
        logger.log_image(key=tag, images=[_pixels(image)], step=step)


def finish_logs(trainer: Trainer) -> None:
    """Closes the run of Weights & Biases, so that the next fit of this process begins one of its own.

    The other loggers close theirs at the end of the fit.
    """
    if trainer.is_global_zero and any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
        import_module("wandb").finish()


class FigureFiles:
    """Saves the latest version of every figure as PNG.

    Args:
        folder: of the files; ``None`` saves none.

    Warns:
        UserWarning: the first time that a file cannot be written. A full disk does not end training.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._warned = False

    def save(self, name: str, image: Tensor) -> None:
        """Writes ``<folder>/<name>.png``.

        Args:
            name: of the figure.
            image: uint8 ``(3, H, W)``.
        """
        if self.folder is None:
            return
        try:
            save_png(self.folder / f"{name}.png", _pixels(image))
        except OutputError as error:
            if not self._warned:
                warnings.warn(str(error), stacklevel=2)
            self._warned = True


def _pixels(image: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
