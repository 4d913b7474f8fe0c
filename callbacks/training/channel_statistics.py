"""Gives a network the mean and standard deviation of its own data, where ImageNet's do not apply."""

from collections.abc import Collection
from typing import Protocol, runtime_checkable

import torch
from lightning import Callback, LightningModule, Trainer

from callbacks.errors import StageError
from models.normalize import Normalize


@runtime_checkable
class MeasuredData(Protocol):
    """A data module that knows the statistics of its training images."""

    def channel_statistics(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation of each channel; ``None`` if the network's own apply."""
        ...


class ChannelStatistics(Callback):
    """Sets the buffers of every ``Normalize`` layer to the statistics of the training images.

    Runs in ``setup``, when the data are prepared: before a checkpoint is restored, so that a resumed run keeps its
    statistics, and on every rank with the same values.

    Args:
        keep: names of tensors that were loaded from another run. Layers whose statistics are among them stay as they
            are, since the weights behind them were trained with these.
    """

    def __init__(self, *, keep: Collection[str] = ()) -> None:
        self.keep = frozenset(keep)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Sets the buffers, in ``fit`` only.

        Raises:
            StageError: if the network has another number of channels than the data.
        """
        data = getattr(trainer, "datamodule", None)
        if stage != "fit" or not isinstance(data, MeasuredData) or (measured := data.channel_statistics()) is None:
            return
        for name, layer in pl_module.named_modules():
            if not isinstance(layer, Normalize) or f"{name}.mean" in self.keep:
                continue
            for buffer, values in zip((layer.mean, layer.std), measured, strict=True):
                if buffer.numel() != len(values):
                    raise StageError(f"the network takes {buffer.numel()} channels, the data have {len(values)}")
                buffer.copy_(torch.tensor(values).view_as(buffer))
