"""Makes a run readable in TensorBoard: stages, rates, speed, settings and where the weights came from."""

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
from lightning_modules.typed_trainer import ends_step, typed

SPEEDS = tuple(f"speed/{name}" for name in Speed._fields)


class Dashboard(Callback):
    """Writes what is not a metric of the task, on process 0, into every TensorBoard logger of the trainer.

    Scalars ``stage/index`` (from 1), ``stage/size``, ``lr/<group>``, ``speed/images_per_second`` and
    ``speed/data_wait_share`` come every ``log_every_n_steps`` and at each stage's first step. The logger has to be made
    with ``default_hp_metric=False``; the hyperparameters get the scores ``hp/<metric>`` of the best epoch of the
    last stage so far, as ``best.ckpt`` does, so they are right after an interruption too.

    Args:
        configuration: the run's settings as plain values, shown as text; some become hyperparameters.
        monitor: the metric that decides which epoch is the best.
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
        self._begins = self._laid_out = False
        self._rates: dict[str, float] = {}
        self._clock = StepClock()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what holds for the whole run; a resumed run goes on with its scores."""
        step = trainer.global_step
        known = [getattr(part, "weights_origin", None) for part in (pl_module, pl_module.net)]
        origin = next((told for told in known if told), "not told by the network")
        parameters = hyperparameters(self.configuration, _stages(trainer))
        scores = {_hp(name): self._best_scores.get(name, math.nan) for name in self.scores}
        for logger in _loggers(trainer):
            writer = logger.experiment
            if step:
                # The cut run may have gone on after its checkpoint: TensorBoard drops what it wrote from here on.
                # SummaryWriter(purge_step=...) writes the same, but has to know the step before the run is restored.
                restart = Event(step=step, session_log=SessionLog(status=SessionLog.START))
                writer._get_file_writer().add_event(restart)
            logger.log_hyperparams(parameters, scores, step=step)
            writer.add_text("run/guide", GUIDE, step)
            writer.add_text("run/weights", f"The network started from: {origin}", step)
            writer.add_text("run/configuration", code_block(self.configuration), step)
        self._clock.wait(time.perf_counter())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The loop turns to the loader."""
        self._clock.wait(time.perf_counter())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """A batch has come; the rates are those of this step, and the schedule moves on before the step's end."""
        self._clock.begin(time.perf_counter())
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        self._rates = {f"lr/{group.get('name', number)}": group["lr"] for number, group in enumerate(groups)}
        stages, index = _stages(trainer), _index(trainer)
        if index is not None and stages[index] is not self._stage:
            self._stage = stages[index]
            line = stage_line(self._stage, index, len(stages), trainer.current_epoch)
            for logger in _loggers(trainer):
                logger.experiment.add_text("run/stages", line, trainer.global_step)
            self._begins = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes where the run stands when Lightning writes the step's metrics, under the same step."""
        self._clock.end(time.perf_counter(), len(batch["name"]) * trainer.world_size)
        if not ends_step(trainer, batch_idx):
            return
        due = trainer.global_step % typed(trainer).log_every_n_steps == 0
        if due and (speed := self._clock.read()):
            self._write(trainer, dict(zip(SPEEDS, speed, strict=True)))
        if due or self._begins:
            self._write(trainer, self._standing(trainer))
            self._begins = False
        if not self._laid_out:
            self._lay_out(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Renews the scores beside the hyperparameters; goes on to wait for training data."""
        self._clock.wait(time.perf_counter())
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name in self.scores}
        if trainer.sanity_checking or trainer.state.fn != "fit" or self.monitor not in found:
            return
        if self._best_epoch.update(found[self.monitor], epoch=trainer.current_epoch, stage=_index(trainer) or 0):
            self._best_scores = found
        self._write(trainer, {_hp(name): value for name, value in self._best_scores.items()})

    def state_dict(self) -> dict[str, Any]:
        """Remembers the scores, so that a resumed run knows them."""
        return {"best_scores": dict(self._best_scores), **self._best_epoch.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the scores back."""
        self._best_scores = dict(state_dict["best_scores"])
        self._best_epoch.load_state_dict(state_dict)

    def _lay_out(self, trainer: Trainer, module: LightningModule) -> None:
        """After the first step, when it is known which parts the loss has. TensorBoard takes the first layout alone."""
        self._laid_out = True
        classes = getattr(module, "classes", ())
        tags = {*trainer.callback_metrics, *self._standing(trainer), "val/loss", *self.scores, *SPEEDS}
        tags |= {f"val/iou/{name}" for name in classes if len(classes) > 1}
        for logger in _loggers(trainer):
            logger.experiment.add_custom_scalars(layout(tags))

    def _standing(self, trainer: Trainer) -> dict[str, float]:
        index = _index(trainer)
        stage = {} if index is None else {"stage/index": index + 1, "stage/size": _stages(trainer)[index].size}
        return stage | self._rates

    def _write(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        for logger in _loggers(trainer):
            logger.log_metrics(dict(values), trainer.global_step - 1)  # the step Lightning writes just now


def _hp(metric: str) -> str:
    return f"hp/{metric.removeprefix('val/')}"


def _loggers(trainer: Trainer) -> list[TensorBoardLogger]:
    """The TensorBoard loggers, on process 0 alone."""
    return [x for x in trainer.loggers if isinstance(x, TensorBoardLogger)] if trainer.is_global_zero else []


def _stages(trainer: Trainer) -> list[Stage]:
    callbacks = typed(trainer).callbacks
    return next((callback.stages for callback in callbacks if isinstance(callback, ProgressiveResizing)), [])


def _index(trainer: Trainer) -> int | None:
    stages = _stages(trainer)
    return stage_index(stages, trainer.current_epoch) if stages else None
