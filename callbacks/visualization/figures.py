"""Logs the figures of a task: a training batch per stage, the same validation samples every time, the worst ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.visualization.best_and_worst import FirstSamples, SortKey
from callbacks.visualization.loggers import FigureFiles, log_image
from callbacks.visualization.task_figures import Figures
from datamodules.stage import Stage
from lightning_modules.base import ImageTask
from lightning_modules.typed_trainer import typed
from models.gather import broadcast_object, gather_objects

BATCH_SAMPLES = 8


class FigureLogger(Callback):
    """Draws after each validation of a fit and at the start of each stage, but not in the sanity check.

    ``figures/validation_<n>`` shows the samples whose names have the smallest CRC-32: the choice does not depend on
    the number of ranks or on anything that changes during training, and it spreads over data sets whose neighboring
    files are similar. These and the worst samples of the epoch are chosen among the samples of all ranks. Each is
    drawn by the rank that validated it; rank 0 logs all of them.

    Args:
        figures: draws; ``Figures`` or a subclass.
        mode: whether a larger (``"max"``) or smaller score of a sample is better.
        folder: where the latest version of every figure is saved as PNG; ``None`` saves none.
        fixed: number of samples that are shown after every validation.
        worst: number of the epoch's worst samples that are shown.
    """

    def __init__(
        self,
        figures: Figures,
        *,
        mode: Literal["min", "max"] = "max",
        folder: Path | None = None,
        fixed: int = 4,
        worst: int = 2,
    ) -> None:
        self.figures, self.fixed, self.worst = figures, fixed, worst
        self._sign = 1 if mode == "max" else -1
        self._files = FigureFiles(folder)
        self._drawn_stage: Stage | None = None
        self._batch_drawn = False
        self.reset()

    def reset(self) -> None:
        """Forgets the last validation."""
        self._fixed, self._worst = FirstSamples(self.fixed), FirstSamples(self.worst)
        self._summaries: list[Any] = []

    def update(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Keeps the samples of a validation batch that may be drawn.

        Args:
            batch: has ``name``.
            output: has ``score``, shape ``(N,)``.
        """
        for index, (name, score) in enumerate(zip(batch["name"], output["score"].tolist(), strict=True)):
            self._fixed.offer(float(crc32(name.encode("utf-8", "surrogateescape"))), batch, output, index)
            self._worst.offer(self._sign * score, batch, output, index)
        if (summary := self.figures.summarize(batch, output)) is not None:
            self._summaries.append(summary)

    def draw(self, note: str) -> dict[str, Tensor]:
        """Draws the kept samples; a collective call.

        Args:
            note: second line of the figures.

        Returns:
            uint8 images ``(3, H, W)`` by name, the same on all ranks.
        """
        drawn: dict[str, Tensor] = {}
        for what, kept in (("validation", self._fixed), ("worst", self._worst)):
            mine = kept.by_key
            owners = {key: rank for rank, keys in enumerate(gather_objects(list(mine))) for key in keys}
            chosen = sorted(owners)[: kept.limit]
            if what == "validation":
                chosen.sort(key=_name)
            for number, key in enumerate(chosen, start=1):
                image = self.figures.draw_sample(mine[key], note=note) if key in mine else None
                drawn[f"{what}_{number}"] = broadcast_object(owners[key], image)
        summaries = [summary for share in gather_objects(self._summaries) for summary in share]
        return drawn | (self.figures.draw_summary(summaries, note=note) if summaries else {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs what stays the same during training."""
        if trainer.is_global_zero:
            self._log(trainer, self.figures.draw_start())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Logs the first batch of every stage."""
        if not trainer.is_global_zero:
            return
        stage = stage_of(pl_module)
        if not self._batch_drawn or stage is not self._drawn_stage:
            self._drawn_stage, self._batch_drawn = stage, True
            note = _note(trainer, pl_module)
            self._log(
                trainer, {"training_batch": self.figures.draw_batch(_on_cpu(batch), count=BATCH_SAMPLES, note=note)}
            )

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets the last validation."""
        self.reset()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps the samples that may be drawn; a rank without samples has no output."""
        if _draws(trainer) and outputs is not None:
            self.update(batch, outputs)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws and logs them."""
        if _draws(trainer):
            drawn = self.draw(_note(trainer, pl_module))
            if trainer.is_global_zero:
                self._log(trainer, drawn)
        self.reset()

    def _log(self, trainer: Trainer, drawn: Mapping[str, Tensor]) -> None:
        for name, image in drawn.items():
            for logger in trainer.loggers:
                log_image(logger, f"figures/{name}", image, step=trainer.global_step)
            if not typed(trainer).fast_dev_run:
                self._files.save(name, image)


def stage_of(module: LightningModule) -> Stage | None:
    """Returns the stage that a module trains, ``None`` outside a staged run."""
    return module.stage if isinstance(module, ImageTask) else None


def _name(key: SortKey) -> str:
    return key[1]


def _draws(trainer: Trainer) -> bool:
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def _note(trainer: Trainer, module: LightningModule) -> str:
    stage = stage_of(module)
    progress = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}"
    return progress if stage is None else f"{progress}, stage {stage.name} ({stage.size} px)"


def _on_cpu(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.detach().cpu() if isinstance(value, Tensor) else value for key, value in batch.items()}
