"""Progressive resizing: trains the stages of a run one after the other inside one fit."""

import warnings
from collections.abc import Sequence
from typing import Any, cast

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_info

from callbacks.training.memory_check import dry_run
from datamodules.stage import Stage, StagedData, stage_ends, stage_index
from lightning_modules.base import MIN_SCHEDULE_STEPS, ImageTask
from lightning_modules.typed_trainer import typed


class ProgressiveResizing(Callback):
    """Trains small images with a frozen body first, and larger ones with all layers later.

    The next stage starts in ``on_train_epoch_end``, before Lightning asks for the loader of the next epoch. The stage
    of a run follows from its epoch alone. On resume it is read from the checkpoint while callbacks are restored, which
    is before DDP wraps the module and before the optimizer is built.

    Args:
        stages: the stages to train, in order.
        dry_run: whether to try one real batch of every stage before the first step, so that a stage that does not fit
            in memory is known in the first minute.

    Raises:
        ValueError: if there is no stage.

    Warns:
        UserWarning: if ``max_epochs`` of the trainer ends the run before its last stage is done.
    """

    def __init__(self, stages: Sequence[Stage], *, dry_run: bool = True) -> None:
        if not stages:
            raise ValueError("stages is empty: a run needs at least one, see the shipped recipes")
        self.stages = list(stages)
        self.dry_run = dry_run
        self._validated = True  # since the loaders of the stage were requested

    @property
    def epochs(self) -> int:
        """Number of epochs of all stages."""
        return stage_ends(self.stages)[-1]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts the first stage; for an evaluation the last one, at whose size the network is measured."""
        if stage != "fit":
            _data(trainer).set_stage(self.stages[-1])
            return
        self._start_stage(trainer, pl_module, 0)
        short = trainer.max_epochs is not None and 0 <= trainer.max_epochs < self.epochs
        if short and not typed(trainer).fast_dev_run:
            warnings.warn(
                f"max_epochs={trainer.max_epochs} ends the run before its stages do ({self.epochs} epochs): the "
                "learning rate does not reach its end. To train shorter stages set --stages.all.epochs",
                stacklevel=2,
            )

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Starts the stage of the checkpoint, before DDP and the optimizer are set up.

        The saved states of optimizer and schedule are adapted: they are dropped if the stage has not begun, since it
        may differ from the one that was planned then, and the schedule is moved if the stage now has another number
        of steps, for example because images were added.
        """
        if trainer.state.fn != "fit":
            return
        done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        index = stage_index(self.stages, done)
        self._start_stage(trainer, pl_module, index)
        start = stage_ends(self.stages)[index] - self.stages[index].epochs
        if done == start and checkpoint["epoch"] < done:
            checkpoint["optimizer_states"], checkpoint["lr_schedulers"] = [], []
            return
        stage, steps = self.stages[index], cast(ImageTask, pl_module).stage_steps
        for schedule in checkpoint["lr_schedulers"]:
            _move_schedule(schedule, stage, steps=steps, epochs_done=done - start)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tries one batch of every stage."""
        if self.dry_run and not typed(trainer).fast_dev_run:
            dry_run(trainer, cast(ImageTask, pl_module), self.stages)
            # With a static graph, DDP counts the gradients of its first backward pass, which was the dry run's. Unless
            # it is wrapped again, it waits for the same number in every step and synchronizes none.
            _wrap_in_ddp_again(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports the current stage."""
        self._report(stage_index(self.stages, trainer.current_epoch))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes that the validation loader was rebuilt."""
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the next stage after the last epoch of one."""
        done = trainer.current_epoch + 1
        # Not earlier: the validation loader of a stage is rebuilt when its first validation starts, which may be
        # several epochs after its first (check_val_every_n_epoch).
        if self._validated or trainer.limit_val_batches == 0:
            typed(trainer).reload_dataloaders_every_n_epochs = 0
        if done not in stage_ends(self.stages)[:-1]:
            return
        index = stage_index(self.stages, done)
        self._start_stage(trainer, pl_module, index)
        # Makes Lightning rebuild the train and validation loaders for the next epoch.
        typed(trainer).reload_dataloaders_every_n_epochs = 1
        self._validated = False
        # DDP's hooks are on the parameters that were trained when it wrapped the module. Unless it is wrapped again,
        # layers thawed since then are never synchronized, and the ranks diverge silently.
        _wrap_in_ddp_again(trainer)
        trainer.strategy.setup_optimizers(trainer)
        self._report(index)

    def _start_stage(self, trainer: Trainer, pl_module: LightningModule, index: int) -> None:
        stage, data = self.stages[index], _data(trainer)
        data.set_stage(stage)
        steps = _steps_per_epoch(trainer, data, stage) * stage.epochs
        cast(ImageTask, pl_module).begin_stage(stage, steps)

    def _report(self, index: int) -> None:
        stage = self.stages[index]
        crops = "" if stage.crop is None else f" in crops of {stage.crop}"
        frozen = "all layers are trained" if stage.frozen == 0 else f"frozen: {stage.frozen}"
        rank_zero_info(
            f"stage {index + 1} of {len(self.stages)}, {stage.name}: {stage.size} px{crops}, batch {stage.batch_size}, "
            f"{stage.epochs} epochs, lr {stage.lr:g}, {frozen}"
        )


def _move_schedule(state: dict[str, Any], stage: Stage, *, steps: int, epochs_done: int) -> None:
    """Moves the saved state of a one-cycle schedule to the same point of a schedule of another length, in place.

    Args:
        state: state of the schedule in the checkpoint.
        stage: the stage that is resumed.
        steps: optimizer steps that the whole stage has now.
        epochs_done: completed epochs of the stage.
    """
    saved_steps = state.get("total_steps", steps)
    if saved_steps == max(steps, MIN_SCHEDULE_STEPS):
        return
    per_epoch, saved_per_epoch = steps // stage.epochs, saved_steps // stage.epochs
    in_epoch = max(0, state["last_epoch"] - epochs_done * saved_per_epoch)
    # The schedule that was just built has the length and the phases; the state holds the position only.
    del state["total_steps"], state["_schedule_phases"]
    # Lightning trains at least one more batch of an epoch that already has had all of its new batches.
    state["last_epoch"] = epochs_done * per_epoch + (in_epoch if in_epoch < per_epoch else per_epoch - 1)
    rank_zero_info(
        f"stage {stage.name} now has {per_epoch} steps per epoch instead of {saved_per_epoch}: its learning rate "
        f"schedule continues at step {state['last_epoch']} of {steps}"
    )


def _wrap_in_ddp_again(trainer: Trainer) -> None:
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy):
        strategy.model = strategy.lightning_module
        strategy.configure_ddp()


def _steps_per_epoch(trainer: Trainer, data: StagedData, stage: Stage) -> int:
    """Number of optimizer steps under ``limit_train_batches`` and ``fast_dev_run``."""
    steps = data.steps_per_epoch(stage)
    limit, accumulate = trainer.limit_train_batches, trainer.accumulate_grad_batches
    batches = steps * accumulate
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return max(1, -(-batches // accumulate))


def _data(trainer: Trainer) -> StagedData:
    data: StagedData = typed(trainer).datamodule
    return data
