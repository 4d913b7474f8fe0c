"""Compiles the network of a run with ``torch.compile``, once for every stage."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import nn

from callbacks.errors import StageError


class CompiledNetwork(Callback):
    """Trains a network that ``torch.compile`` has compiled; everything between training steps uses it as it is.

    The shapes of a stage are fixed, so it is compiled for them at its first step. Images of validation may differ in
    size, and would be compiled again and again. The names of the weights do not change, so that checkpoints can be
    resumed with and without. Results differ from those of the network that is not compiled by rounding.

    Args:
        stages: number of stages of the run.
        backend: of ``torch.compile``.

    Raises:
        TypeError: in ``setup``, if the module has no network ``net``.
        StageError: in ``setup``, if this machine cannot compile.
    """

    def __init__(self, stages: int, *, backend: str = "inductor") -> None:
        self.stages, self.backend = stages, backend

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compiles a product as a trial, so that a missing compiler is found before the first step."""
        if stage != "fit":
            return
        if not isinstance(pl_module.net, nn.Module):
            raise TypeError(f"{type(pl_module).__name__}.net is no network")
        try:
            torch.compile(_double, backend=self.backend)(torch.ones(2, device=trainer.strategy.root_device))
        except Exception as error:  # torch has no common class for what its backends raise
            reason = " ".join(str(error).split("\n")[:2]).strip() or type(error).__name__
            raise StageError(f"--compile: this machine cannot compile networks ({reason}); leave it out") from error
        # A stage may be compiled twice: frozen layers have other gradients. torch gives up after 8 times by default.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 4 * self.stages)
        pl_module.net.compile(backend=self.backend, dynamic=False)
        torch.compiler.set_stance("force_eager")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Uses the compiled network for this step."""
        torch.compiler.set_stance("default")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Uses the network as it is until the next step."""
        torch.compiler.set_stance("force_eager")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leaves torch as it was; also after an error."""
        torch.compiler.set_stance("default")


def _double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x
