"""A fit of one stage with nothing around it: no logger, no files, no validation."""

from collections.abc import Sequence

from lightning import Callback, Trainer

from callbacks.progressive_resizing import ProgressiveResizing
from callbacks.randomness import StatelessRandomness
from datamodules.base import ImageDataModule
from datamodules.stage import Stage
from lightning_modules.base import ImageTask


def quick_fit(module: ImageTask, data: ImageDataModule, stage: Stage, *, extra: Sequence[Callback] = ()) -> None:
    """Trains ``module`` and leaves it in eval mode."""
    data.planned = [stage]
    trainer = Trainer(
        max_epochs=stage.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
        callbacks=[ProgressiveResizing([stage], rehearse=False), StatelessRandomness(0), *extra],
    )
    trainer.fit(module, data)
    module.eval()
