"""A trainer without logger and files, and a fit of one stage with it."""

from collections.abc import Sequence
from typing import Any

from lightning import Callback, Trainer

from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.training.step_seed import StepSeed
from datamodules.base import ImageDataModule
from datamodules.stage import Stage
from lightning_modules.base import ImageTask


def quiet_trainer(*, devices: int = 1, **options: Any) -> Trainer:
    """A CPU trainer without logger, checkpoints and progress bar."""
    return Trainer(
        accelerator="cpu",
        devices=devices,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def quick_fit(module: ImageTask, data: ImageDataModule, stage: Stage, *, extra: Sequence[Callback] = ()) -> None:
    """Trains ``module`` and leaves it in eval mode."""
    data.planned = [stage]
    callbacks = [ProgressiveResizing([stage], dry_run=False), StepSeed(0), *extra]
    quiet_trainer(max_epochs=stage.epochs, limit_val_batches=0, callbacks=callbacks).fit(module, data)
    module.eval()
