"""Keeps the pictures of a validation that came out best and worst, to be looked at."""

from dataclasses import dataclass
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from datamodules.batches import SegmentBatch, SegmentOutput


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One validated picture, on the CPU.

    Args:
        name: of the picture, relative to the data's root.
        score: its Dice (one class) or accuracy (several).
        image: (3, S, S) float32 in [0, 1].
        mask: (S, S), as in ``SegmentBatch``.
        probs: (C, S, S) float32 in [0, 1].
    """

    name: str
    score: float
    image: Tensor
    mask: Tensor
    probs: Tensor

    @property
    def order(self) -> tuple[float, str]:
        """What pictures are sorted by."""
        return self.score, self.name


class Extremes(Callback):
    """Keeps the best and the worst pictures of a validation, those of this process.

    Afterwards ``best`` begins with the best one, ``worst`` with the worst, and no picture is in both.

    Args:
        count: how many of each are kept.
    """

    def __init__(self, *, count: int) -> None:
        self.count = count
        self.validated = 0
        self._best: list[Seen] = []
        self._worst: list[Seen] = []

    @property
    def worst(self) -> list[Seen]:
        """The worst first; at most the worse half of all."""
        return self._worst[: -(-self.validated // 2)]

    @property
    def best(self) -> list[Seen]:
        """The best first; at most the better half of all."""
        return self._best[: self.validated // 2]

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: SegmentBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Compares the batch's pictures with those kept."""
        self.observe(batch, outputs)

    def observe(self, batch: SegmentBatch, output: SegmentOutput) -> None:
        """Compares pictures with those kept; only what is kept is copied to the CPU."""
        for place, (name, score) in enumerate(zip(batch["name"], output["score"].tolist(), strict=True)):
            self.validated += 1
            order = (score, name)  # of equal scores the name decides, so that no picture is in both lists
            best = len(self._best) < self.count or order > self._best[-1].order
            worst = len(self._worst) < self.count or order < self._worst[-1].order
            if not best and not worst:
                continue
            seen = Seen(
                name=name,
                score=score,
                image=batch["image"][place].detach().float().cpu().clone(),
                mask=batch["mask"][place].detach().cpu().clone(),
                probs=output["probs"][place].detach().float().cpu().clone(),
            )
            if best:
                self._best = sorted([*self._best, seen], key=lambda one: one.order, reverse=True)[: self.count]
            if worst:
                self._worst = sorted([*self._worst, seen], key=lambda one: one.order)[: self.count]
