"""ICNR: starts the sub-pixel convolutions of a network as nearest-neighbour enlargement."""

import warnings
from collections.abc import Collection

from lightning import Callback, LightningModule, Trainer

from models.super_resolution.pixel_shuffle import SubpixelUpsample, icnr_


class ICNRInit(Callback):
    """Starts every ``SubpixelUpsample`` free of checkerboards (Aitken et al. 2017).

    It acts in ``setup``: before a checkpoint is restored, so a resumed run keeps what it has learnt, and before DDP
    copies rank 0 to the others, so that all processes start alike.

    Args:
        keep: names of tensors in the module that came from another run's weights, such as
            ``"net.upsampling.0.conv.weight"``; the layers they belong to are left as they are.

    Warns:
        UserWarning: if the module has no such layer, so that nothing could be changed.
    """

    def __init__(self, *, keep: Collection[str] = ()) -> None:
        self.keep = frozenset(keep)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Draws the kernels of all layers but those to keep."""
        if stage != "fit":
            return
        layers = [(name, m) for name, m in pl_module.named_modules() if isinstance(m, SubpixelUpsample)]
        if not layers:
            warnings.warn(f"ICNRInit found no SubpixelUpsample in {type(pl_module).__name__}", stacklevel=2)
        for name, layer in layers:
            if not any(f"{name}.{tensor}" in self.keep for tensor in layer.state_dict()):
                icnr_(layer.conv, layer.scale)
