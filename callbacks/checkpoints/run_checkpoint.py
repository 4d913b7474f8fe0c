"""Which checkpoints a run keeps: the last, the best of the current stage, and every stage's end."""

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from callbacks.errors import NonFiniteError
from callbacks.stage_index import stage_ends, stage_index
from datamodules.stage import Stage
from lightning_modules.typed_trainer import ends_step, typed


class RunCheckpoint(Checkpoint):
    """Keeps ``last.ckpt``, ``best.ckpt`` and ``stage-<n>.ckpt`` in one folder, and nothing else.

    A metric at 128 px says little about one at 512, so *best* starts anew with every stage: at the end it is the
    best epoch of the last stage. One file is written an epoch; the other names are links to it.

    Args:
        folder: where the files go.
        stages: the run's stages.
        monitor: name of the metric that decides.
        mode: whether a larger (``"max"``) or smaller value is better.
        every_n_steps: also renew ``last.ckpt`` inside an epoch, each time so many optimiser steps are done.
        record: plain values that describe the run (task, network, classes); saved under ``"darkroom"``.
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
    ) -> None:
        self.folder, self.stages = folder, list(stages)
        self.monitor, self.mode = monitor, mode
        self.every_n_steps, self.record = every_n_steps, record or {}
        self.best_score = math.nan
        self.best_epoch = -1

    @property
    def last(self) -> Path:
        """Where the run goes on from."""
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """The best epoch of the current stage."""
        return self.folder / "best.ckpt"

    def stage_end(self, index: int) -> Path:
        """The end of the stage with ``index`` (from 0); the file counts from 1."""
        return self.folder / f"stage-{index + 1}.ckpt"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Removes what a killed run left half-written."""
        if stage == "fit" and trainer.is_global_zero and self.folder.is_dir():
            for leftover in self.folder.glob(".*.partial"):
                leftover.unlink(missing_ok=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Renews ``last.ckpt`` every so many steps; the epoch's last step is left to the epoch's end."""
        steps = trainer.global_step
        if (
            ends_step(trainer, batch_idx)
            and steps % self.every_n_steps == 0
            and batch_idx + 1 < trainer.num_training_batches
        ):
            self.save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the epoch, once, under all the names that are due. Validation has run by now."""
        if typed(trainer).fast_dev_run:
            return
        done = trainer.current_epoch + 1
        names = []
        if self._is_best(trainer, done):
            names.append(self.best)
        if done in stage_ends(self.stages):
            names.append(self.stage_end(stage_index(self.stages, trainer.current_epoch)))
        # `last` comes last: killed in between, the run goes on from the epoch before and writes the same again.
        first, *others = [*names, self.last]
        trainer.save_checkpoint(first)
        if trainer.is_global_zero:
            for other in others:
                _same_file(first, other)
        trainer.strategy.barrier("RunCheckpoint")

    def save_last(self, trainer: Trainer) -> None:
        """Saves where the run stands now."""
        trainer.save_checkpoint(self.last)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the record that makes a checkpoint enough by itself, and refuses weights that are no numbers."""
        if name := _non_finite(pl_module):
            raise NonFiniteError(
                f"{name} is no longer finite after step {trainer.global_step}; it was not saved. "
                f"The last good checkpoint is {self.last if self.last.exists() else 'none yet'}: start from it with "
                "--init_from and a lower lr"
            )
        checkpoint["darkroom"] = self.record

    def state_dict(self) -> dict[str, Any]:
        """Remembers the best, so that a resumed run knows it."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the best back."""
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]

    def _is_best(self, trainer: Trainer, done: int) -> bool:
        score = trainer.callback_metrics.get(self.monitor)
        if score is None:
            return False
        value, epoch = float(score), done - 1
        new_stage = stage_index(self.stages, epoch) != stage_index(self.stages, max(self.best_epoch, 0))
        better = value > self.best_score if self.mode == "max" else value < self.best_score
        if new_stage or math.isnan(self.best_score) or better:
            self.best_score, self.best_epoch = value, epoch
            return True
        return False


def _non_finite(module: LightningModule) -> str | None:
    """Names the first parameter or buffer that is not finite; one synchronisation for all of them."""
    named: list[tuple[str, Tensor]] = [(n, t) for n, t in module.state_dict().items() if t.is_floating_point()]
    if not named:
        return None
    finite = torch.stack([t.isfinite().all() for _, t in named])
    return None if bool(finite.all()) else named[int(finite.int().argmin())][0]


def _same_file(source: Path, target: Path) -> None:
    """Gives ``source`` a second name in one step; copies where the file system knows no hard links."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)
