"""ICNR: initializes sub-pixel convolutions so that they upsample like nearest-neighbor interpolation."""

import warnings
from collections.abc import Collection

from lightning import Callback, LightningModule, Trainer

from models.super_resolution.upsampling import SubpixelUpsample, icnr_


class ICNRInit(Callback):
    """Initializes every ``SubpixelUpsample`` without checkerboard artifacts (Aitken et al. 2017).

    Runs in ``setup``: before a checkpoint is restored, so that a resumed run keeps its weights, and before DDP copies
    rank 0 to the others, so that all ranks start with the same weights.

    Args:
        keep: names of tensors that were loaded from another run, such as ``"net.upsampling.0.conv.weight"``. Their
            layers are not initialized.

    Warns:
        UserWarning: if the module has no such layer.
    """

    def __init__(self, *, keep: Collection[str] = ()) -> None:
        self.keep = frozenset(keep)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Initializes the kernels of all layers that are not in ``keep``."""
        if stage != "fit":
            return
        layers = [(name, m) for name, m in pl_module.named_modules() if isinstance(m, SubpixelUpsample)]
        if not layers:
            warnings.warn(f"ICNRInit found no SubpixelUpsample in {type(pl_module).__name__}", stacklevel=2)
        for name, layer in layers:
            if not any(f"{name}.{tensor}" in self.keep for tensor in layer.state_dict()):
                icnr_(layer.conv, layer.scale)
