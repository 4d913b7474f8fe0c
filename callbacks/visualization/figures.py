"""Shows what the network does: the same images after every validation, the worst ones, a first training batch."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from callbacks.errors import OutputError
from callbacks.output_file import save_png
from models.gather import broadcast_object, gather_objects


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One image of a validation, on the CPU, with what the network made of it."""

    order: float  # the smallest are kept
    name: str
    score: float
    item: Mapping[str, Any]  # fields of the batch, without the first dimension
    output: Mapping[str, Any]  # fields of the step's output, without the first dimension

    @property
    def place(self) -> tuple[float, str]:
        """What images are sorted by, on all processes alike: of equal ones the name decides."""
        return self.order, self.name


class Figures(Callback, ABC):
    """Draws after each validation of a fit and at each stage's start, never in the sanity check.

    The same images every time are those whose names have the smallest checksums: the choice depends on nothing
    that changes in a run, nor on the number of processes, and spreads over a set whose neighbours look alike. These
    and the worst of the epoch are chosen among the images of all processes; each is drawn by the one that
    validated it, and process 0 shows and saves the drawings.

    A subclass draws; it gets batches with ``name`` and step outputs with ``score``, and says whether more is worse.

    Args:
        fixed: how many images are shown every time.
        worst: how many of the epoch's worst are shown.
        folder: where the latest of every figure is also saved as PNG; ``None`` is ``images`` in the run's folder.
    """

    more_is_worse = False

    def __init__(self, *, fixed: int = 4, worst: int = 2, folder: Path | None = None) -> None:
        self.fixed, self.worst, self.folder = fixed, worst, folder
        self._fixed: list[Kept] = []
        self._worst: list[Kept] = []
        self._drawn_stage: Any = None
        self._warned = False

    @abstractmethod
    def draw_image(self, kept: Kept, note: str) -> Tensor:
        """Draws one validated image; ``note`` says where the run stands. Gives uint8 ``(3, H, W)``."""

    @abstractmethod
    def draw_batch(self, batch: Mapping[str, Any], note: str) -> Tensor:
        """Draws a training batch as the network gets it. Gives uint8 ``(3, H, W)``."""

    def begin(self) -> None:
        """Forgets the last validation; a subclass that draws more forgets that too."""
        self._fixed, self._worst = [], []

    def observe(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Takes note of a validation batch."""
        names, scores = batch["name"], output["score"].tolist()
        for index, (name, score) in enumerate(zip(names, scores, strict=True)):
            for kept, order, limit in (
                (self._fixed, float(crc32(name.encode())), self.fixed),
                (self._worst, -score if self.more_is_worse else score, self.worst),
            ):
                if len(kept) < limit or (limit and (order, name) < kept[-1].place):
                    item, made = pick(batch, index), pick(output, index)
                    kept.append(Kept(order=order, name=name, score=score, item=item, output=made))
                    kept.sort(key=lambda entry: entry.place)
                    del kept[limit:]

    def figures(self, note: str) -> dict[str, Tensor]:
        """Draws what was observed; all processes take part. A subclass may add to it.

        Args:
            note: where the run stands, in words.

        Returns:
            Images by name, uint8 ``(3, H, W)``, the same on all processes.
        """
        drawn = {}
        for what, kept, limit in (("validation", self._fixed, self.fixed), ("worst", self._worst, self.worst)):
            mine = {entry.place: entry for entry in kept}
            owners = {place: rank for rank, places in enumerate(gather_objects(list(mine))) for place in places}
            chosen = sorted(owners)[:limit]
            if what == "validation":
                chosen.sort(key=lambda place: place[1])
            for number, place in enumerate(chosen, start=1):
                image = self.draw_image(mine[place], note) if place in mine else None
                drawn[f"{what}_{number}"] = broadcast_object(owners[place], image)
        return drawn

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Shows the first batch of every stage."""
        stage = getattr(pl_module, "stage", None)
        if trainer.is_global_zero and stage is not self._drawn_stage:
            self._drawn_stage = stage
            self._show(trainer, {"training_batch": self.draw_batch(_on_cpu(batch), _note(trainer, pl_module))})

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts anew."""
        self.begin()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps the images that will be drawn; a process may have none to validate."""
        if _watching(trainer) and outputs is not None:
            self.observe(batch, outputs)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws them."""
        if _watching(trainer):
            drawn = self.figures(_note(trainer, pl_module))
            if trainer.is_global_zero:
                self._show(trainer, drawn)
        self.begin()

    def _show(self, trainer: Trainer, drawn: Mapping[str, Tensor]) -> None:
        # Not trainer.log_dir: that is a broadcast, and only process 0 is here.
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        folder = self.folder or next((Path(logger.log_dir) / "figures" for logger in loggers), None)
        for name, image in drawn.items():
            for logger in loggers:
                logger.experiment.add_image(f"figures/{name}", image, trainer.global_step)
            if folder is not None:
                self._save(image, folder / f"{name}.png")

    def _save(self, image: Tensor, path: Path) -> None:
        """Saves the latest of a figure; a disk that is full ends no training for an image."""
        try:
            save_png(path, np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        except OutputError as error:
            if not self._warned:
                warnings.warn(str(error), stacklevel=2)
            self._warned = True


def pick(fields: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Copies one image out of a batch to the CPU; what has no first dimension (the loss) is left."""
    return {
        key: value[index].detach().cpu().clone() if isinstance(value, Tensor) else value[index]
        for key, value in fields.items()
        if not (isinstance(value, Tensor) and value.ndim == 0)
    }


def _watching(trainer: Trainer) -> bool:
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def _note(trainer: Trainer, module: LightningModule) -> str:
    stage = getattr(module, "stage", None)
    where = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}"
    return where if stage is None else f"{where}, stage {stage.name} ({stage.size} px)"


def _on_cpu(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.detach().cpu() if isinstance(value, Tensor) else value for key, value in batch.items()}
