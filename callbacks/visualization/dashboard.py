"""Logs stages, learning rates, speed, settings and the origin of the weights."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event, SessionLog

from callbacks.checkpoints.best_epoch import BestEpoch
from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.visualization.dashboard_text import GUIDE, code_block, hyperparameters, layout, stage_line
from callbacks.visualization.throughput import Speed, StepClock
from datamodules.stage import Stage, stage_index
from lightning_modules.base import ImageTask
from lightning_modules.typed_trainer import ends_step, typed

SPEEDS = tuple(f"speed/{name}" for name in Speed._fields)


class Dashboard(Callback):
    """Logs on rank 0 what is not a metric of the task.

    Every logger gets the hyperparameters and the scalars ``stage/index`` (from 1), ``stage/size``, ``lr/<group>``,
    ``speed/images_per_second`` and ``speed/data_wait_share``, every ``log_every_n_steps`` and at the first step of each
    stage, and ``hp/<metric>``: the scores of the best epoch of the current stage, as in ``best.ckpt``. TensorBoard
    also gets texts and a layout of its charts; its logger has to be made with ``default_hp_metric=False``.

    Args:
        configuration: the run's settings as plain values, logged as text; some become hyperparameters.
        monitor: metric that decides which epoch is the best.
        mode: whether a larger (``"max"``) or smaller value is better.
        scores: metrics shown beside the hyperparameters.
    """

    def __init__(
        self,
        *,
        configuration: Mapping[str, Any],
        monitor: str = "val/dice",
        mode: Literal["min", "max"] = "max",
        scores: Sequence[str] = ("val/dice", "val/iou", "val/accuracy", "val/loss"),
    ) -> None:
        self.configuration, self.monitor, self.scores = configuration, monitor, tuple(scores)
        self._best_epoch = BestEpoch(mode=mode)
        self._best_scores: dict[str, float] = {}
        self._stage: Stage | None = None
        self._stage_begins = self._has_layout = False
        self._rates: dict[str, float] = {}
        self._clock = StepClock()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs hyperparameters and texts; a resumed run continues with its best scores."""
        self._clock.wait(time.perf_counter())
        if not trainer.is_global_zero:
            return
        step = trainer.global_step
        parameters = hyperparameters(self.configuration, _stages(trainer))
        scores = {_hp(name): self._best_scores.get(name, math.nan) for name in self.scores}
        for logger in trainer.loggers:
            if not isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(parameters)
                continue
            writer = logger.experiment
            if step:
                # The interrupted run may have logged steps after its checkpoint: TensorBoard drops those from here on.
                # SummaryWriter(purge_step=...) does the same but needs the step before the run is restored.
                restart = Event(step=step, session_log=SessionLog(status=SessionLog.START))
                writer._get_file_writer().add_event(restart)
            logger.log_hyperparams(parameters, scores, step=step)
            writer.add_text("run/guide", GUIDE, step)
            if isinstance(pl_module, ImageTask):
                writer.add_text("run/weights", f"initial weights: {pl_module.weights_origin}", step)
            writer.add_text("run/configuration", code_block(self.configuration), step)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts to measure the time until the first batch."""
        self._clock.wait(time.perf_counter())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remembers the rates of this step: the schedule changes them before the step ends."""
        self._clock.begin(time.perf_counter())
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        self._rates = {f"lr/{group.get('name', number)}": group["lr"] for number, group in enumerate(groups)}
        stages, index = _stages(trainer), _index(trainer)
        if index is not None and stages[index] is not self._stage:
            self._stage = stages[index]
            line = stage_line(self._stage, index, len(stages), trainer.current_epoch)
            for logger in _tensorboards(trainer):
                logger.experiment.add_text("run/stages", line, trainer.global_step)
            self._stage_begins = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Logs under the step under which Lightning logs the metrics of this step."""
        self._clock.end(time.perf_counter(), len(batch["name"]) * trainer.world_size)
        if not ends_step(trainer, batch_idx):
            return
        due = trainer.global_step % typed(trainer).log_every_n_steps == 0
        if due or self._stage_begins:
            speed = self._clock.read() if due else None
            speeds = dict(zip(SPEEDS, speed, strict=True)) if speed else {}
            self._log(trainer, speeds | self._progress(trainer))  # one call: each costs 0.1 ms
            self._stage_begins = False
        if not self._has_layout:
            self._log_layout(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the scores of the best epoch."""
        self._clock.wait(time.perf_counter())
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name in self.scores}
        if trainer.sanity_checking or trainer.state.fn != "fit" or self.monitor not in found:
            return
        if self._best_epoch.update(found[self.monitor], epoch=trainer.current_epoch, stage=_index(trainer) or 0):
            self._best_scores = found
        self._log(trainer, {_hp(name): value for name, value in self._best_scores.items()})

    def state_dict(self) -> dict[str, Any]:
        """Returns the best scores, for a resumed run."""
        return {"best_scores": dict(self._best_scores), **self._best_epoch.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best scores."""
        self._best_scores = dict(state_dict["best_scores"])
        self._best_epoch.load_state_dict(state_dict)

    def _log_layout(self, trainer: Trainer, module: LightningModule) -> None:
        """Logs the layout of charts after the first step, when the parts of the loss are known; it cannot change."""
        self._has_layout = True
        classes = module.classes if isinstance(module, ImageTask) else ()
        tags = {*trainer.callback_metrics, *self._progress(trainer), "val/loss", *self.scores, *SPEEDS}
        tags |= {f"val/iou/{name}" for name in classes if len(classes) > 1}
        for logger in _tensorboards(trainer):
            logger.experiment.add_custom_scalars(layout(tags))

    def _progress(self, trainer: Trainer) -> dict[str, float]:
        index = _index(trainer)
        stage = {} if index is None else {"stage/index": index + 1, "stage/size": _stages(trainer)[index].size}
        return stage | self._rates

    def _log(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        for logger in trainer.loggers if trainer.is_global_zero else []:
            logger.log_metrics(dict(values), trainer.global_step - 1)  # Lightning logs the step under this number


def _hp(metric: str) -> str:
    return f"hp/{metric.removeprefix('val/')}"


def _tensorboards(trainer: Trainer) -> list[TensorBoardLogger]:
    """Returns the TensorBoard loggers on rank 0, none on the others."""
    return [x for x in trainer.loggers if isinstance(x, TensorBoardLogger)] if trainer.is_global_zero else []


def _stages(trainer: Trainer) -> list[Stage]:
    callbacks = typed(trainer).callbacks
    return next((callback.stages for callback in callbacks if isinstance(callback, ProgressiveResizing)), [])


def _index(trainer: Trainer) -> int | None:
    stages = _stages(trainer)
    return stage_index(stages, trainer.current_epoch) if stages else None
