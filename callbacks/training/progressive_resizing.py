"""Walks a run through its stages inside one fit: one run, one timeline, checkpoints that know where they are."""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_info

from callbacks.training.memory_check import rehearse
from datamodules.stage import Stage, stage_ends, stage_index
from lightning_modules.typed_trainer import typed


@runtime_checkable
class StagedData(Protocol):
    """The side of a data module that stages talk to."""

    def set_stage(self, stage: Stage) -> None:
        """Lets loaders made from now on follow ``stage``."""
        ...

    def steps_per_epoch(self, stage: Stage) -> int:
        """Optimiser steps of one epoch."""
        ...

    def rehearsal_batch(self, stage: Stage) -> Any:
        """A real first batch."""
        ...


@runtime_checkable
class StagedModule(Protocol):
    """The side of a module that stages talk to."""

    def begin_stage(self, stage: Stage, steps: int) -> None:
        """Freezes, thaws and sets the rates for the optimiser built next."""
        ...


class ProgressiveResizing(Callback):
    """Trains small images with a frozen body first, larger ones with everything thawed later.

    The switch to the next stage happens in ``on_train_epoch_end``, before Lightning asks for the next epoch's
    loader. Which stage a run is in follows from the epoch alone; on resume it is read from the checkpoint while
    the callbacks are restored, which is before DDP wraps the module and before the optimiser is built.

    Args:
        stages: what to train, in order.
        rehearse: try one real batch of every stage before the first step, so that a stage that does not fit in
            memory is known in the first minute.

    Raises:
        ValueError: if there is no stage.

    Warns:
        UserWarning: if the trainer stops before the last stage is over.
    """

    def __init__(self, stages: Sequence[Stage], *, rehearse: bool = True) -> None:
        if not stages:
            raise ValueError("stages is empty: a run needs at least one, see the shipped recipes")
        self.stages = list(stages)
        self.rehearse = rehearse

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return stage_ends(self.stages)[-1]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Enters the first stage, or for an evaluation the last: its size is what the network is judged at."""
        if stage != "fit":
            _data(trainer).set_stage(self.stages[-1])
            return
        self._enter(trainer, pl_module, 0)
        short = trainer.max_epochs is not None and 0 <= trainer.max_epochs < self.epochs
        if short and not typed(trainer).fast_dev_run:
            warnings.warn(
                f"max_epochs={trainer.max_epochs} ends the run before its stages do ({self.epochs} epochs)",
                stacklevel=2,
            )

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Enters the stage the checkpoint was saved in, in time for DDP and the optimiser."""
        if trainer.state.fn == "fit":
            epoch = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
            self._enter(trainer, pl_module, stage_index(self.stages, epoch))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tries every stage that is still to come."""
        if self.rehearse and not typed(trainer).fast_dev_run:
            rehearse(trainer, pl_module, self.stages)
            # DDP with a static graph counts the gradients of its first backward pass, and has counted these: without
            # wrapping again it would wait for as many in every step, and synchronise none.
            _wrap_again(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says where the run stands."""
        self._announce(stage_index(self.stages, trainer.current_epoch))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Moves on if the stage is over."""
        done = trainer.current_epoch + 1
        # Not earlier: in a stage's first epoch the validation loader is rebuilt only when validation begins.
        typed(trainer).reload_dataloaders_every_n_epochs = 0
        if done not in stage_ends(self.stages)[:-1]:
            return
        index = stage_index(self.stages, done)
        self._enter(trainer, pl_module, index)
        # For the one epoch that begins now: Lightning rebuilds train and val loaders.
        typed(trainer).reload_dataloaders_every_n_epochs = 1
        # DDP's hooks are on the parameters that trained when it wrapped. Without wrapping again, layers thawed since
        # are never synchronised: the ranks drift apart and nothing complains.
        _wrap_again(trainer)
        trainer.strategy.setup_optimizers(trainer)
        self._announce(index)

    def _enter(self, trainer: Trainer, pl_module: LightningModule, index: int) -> None:
        stage, data = self.stages[index], _data(trainer)
        data.set_stage(stage)
        steps = _steps_per_epoch(trainer, data, stage) * stage.epochs
        if not isinstance(pl_module, StagedModule):
            raise TypeError(f"{type(pl_module).__name__} has no begin_stage(stage, steps) and cannot train in stages")
        pl_module.begin_stage(stage, steps)

    def _announce(self, index: int) -> None:
        stage = self.stages[index]
        frozen = "everything trains" if stage.frozen == 0 else f"frozen: {stage.frozen}"
        rank_zero_info(
            f"stage {index + 1} of {len(self.stages)}, {stage.name}: {stage.size} px, batch {stage.batch_size}, "
            f"{stage.epochs} epochs, lr {stage.lr:g}, {frozen}"
        )


def _wrap_again(trainer: Trainer) -> None:
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy):
        strategy.model = strategy.lightning_module
        strategy.configure_ddp()


def _steps_per_epoch(trainer: Trainer, data: StagedData, stage: Stage) -> int:
    """Counts optimiser steps under ``limit_train_batches`` and ``fast_dev_run`` too."""
    steps = data.steps_per_epoch(stage)
    limit, accumulate = trainer.limit_train_batches, trainer.accumulate_grad_batches
    batches = steps * accumulate
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return max(1, -(-batches // accumulate))


def _data(trainer: Trainer) -> StagedData:
    data = typed(trainer).datamodule
    if not isinstance(data, StagedData):
        raise TypeError(f"stages need a data module with set_stage and steps_per_epoch, not {type(data).__name__}")
    return data
