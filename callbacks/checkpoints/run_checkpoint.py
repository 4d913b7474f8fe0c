"""The checkpoints of a run: the last epoch, the best epoch of the current stage, and the end of every stage."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from callbacks.checkpoints.best_epoch import BestEpoch
from callbacks.errors import NonFiniteError
from datamodules.io.atomic_file import atomic_path, remove_partial_files
from datamodules.stage import Stage, stage_ends, stage_index
from lightning_modules.typed_trainer import ends_step, typed


class RunCheckpoint(Checkpoint):
    """Keeps ``last.ckpt``, ``best.ckpt`` and ``stage-<n>.ckpt`` in one folder.

    ``best.ckpt`` has the weights with the best validation score of the current stage; only weights that were validated
    can become it. ``last.ckpt`` is a file of its own, so that a damaged sector does not take all names with it;
    ``stage-<n>.ckpt`` may be a hard link to ``best.ckpt``. A validation inside an epoch (``val_check_interval``) writes
    ``best.ckpt`` at once if it is the best.

    Args:
        folder: where the files are written.
        stages: the stages of the run.
        monitor: name of the validation metric that decides which weights are the best.
        mode: whether a larger (``"max"``) or a smaller value is better.
        every_n_steps: number of optimizer steps after which ``last.ckpt`` is also written inside an epoch; 0 for never.
        record: plain values that describe the run (task, network, classes), saved under ``"darkroom"``.
        measured: returns values for the record that are known once the data are set up.
    """

    def __init__(
        self,
        folder: Path,
        *,
        stages: Sequence[Stage],
        monitor: str,
        mode: Literal["min", "max"],
        every_n_steps: int = 500,
        record: dict[str, Any] | None = None,
        measured: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.folder, self.stages, self.monitor = folder, list(stages), monitor
        self.every_n_steps, self.record = every_n_steps, record or {}
        self._measured = measured
        self.best_epoch = BestEpoch(mode=mode)
        self._score: float | None = None  # of the current weights, validated after the last batch of the epoch

    @property
    def last(self) -> Path:
        """The checkpoint that ``--resume`` starts from."""
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch of the current stage."""
        return self.folder / "best.ckpt"

    def stage_end(self, index: int) -> Path:
        """The checkpoint at the end of stage ``index`` (from 0); the file's number counts from 1."""
        return self.folder / f"stage-{index + 1}.ckpt"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Removes unfinished files of a killed run, and completes the record."""
        self.record = {**self.record, **self._measured()}
        if stage == "fit" and trainer.is_global_zero:
            remove_partial_files(self.folder)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes ``last.ckpt`` every ``every_n_steps``, except at the last step of an epoch, which is saved anyway."""
        every = self.every_n_steps
        due = every > 0 and ends_step(trainer, batch_idx) and trainer.global_step % every == 0
        if due and batch_idx + 1 < trainer.num_training_batches:
            self.save_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the score of the current weights; inside an epoch they are saved at once if they are the best."""
        score = trainer.callback_metrics.get(self.monitor)
        if score is None or trainer.sanity_checking or trainer.state.fn != "fit" or typed(trainer).fast_dev_run:
            return
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._score = float(score)
        elif self._is_best(trainer, float(score)):
            trainer.save_checkpoint(self.best)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the epoch after its validation, under every name that applies."""
        if typed(trainer).fast_dev_run:
            return
        epoch = trainer.current_epoch
        score, self._score = self._score, None
        names = [self.best] if score is not None and self._is_best(trainer, score) else []
        if epoch + 1 in stage_ends(self.stages):
            names.append(self.stage_end(stage_index(self.stages, epoch)))
        # `last` is written last: a run killed before it resumes from the epoch before and writes the others again.
        first, *others = [*names, self.last]
        trainer.save_checkpoint(first)
        if trainer.is_global_zero:
            for other in others:
                if other == self.last:
                    _copy(first, other)
                else:
                    _link(first, other)
        trainer.strategy.barrier("RunCheckpoint")

    def _is_best(self, trainer: Trainer, score: float) -> bool:
        epoch = trainer.current_epoch
        return self.best_epoch.update(score, epoch=epoch, stage=stage_index(self.stages, epoch))

    def save_last(self, trainer: Trainer) -> None:
        """Writes ``last.ckpt`` now."""
        trainer.save_checkpoint(self.last)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the record of the run.

        Raises:
            NonFiniteError: if a weight is infinite or NaN; nothing is saved.
        """
        if name := _non_finite(pl_module):
            raise NonFiniteError(
                f"{name} is no longer finite after step {trainer.global_step}; it was not saved. "
                f"The last good checkpoint is {self.last if self.last.exists() else 'none yet'}: start from it with "
                "--init_from and a lower lr"
            )
        checkpoint["darkroom"] = self.record

    def state_dict(self) -> dict[str, Any]:
        """The best epoch, for a resumed run."""
        return self.best_epoch.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best epoch."""
        self.best_epoch.load_state_dict(state_dict)


def _non_finite(module: LightningModule) -> str | None:
    """Name of the first parameter or buffer that is not finite; one GPU synchronization for all of them."""
    named: list[tuple[str, Tensor]] = [(n, t) for n, t in module.state_dict().items() if t.is_floating_point()]
    if not named:
        return None
    finite = torch.stack([t.isfinite().all() for _, t in named])
    return None if bool(finite.all()) else named[int(finite.int().argmin())][0]


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as partial:
        shutil.copyfile(source, partial)


def _link(source: Path, target: Path) -> None:
    """Gives ``source`` the second name ``target``, atomically; copies it if the file system has no hard links."""
    with atomic_path(target) as partial:
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)
