"""Keeps the images of a validation that came out best and worst, to be looked at."""

from collections.abc import Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer

from callbacks.visualization.figures import Kept, pick


class Extremes(Callback):
    """Keeps the best and the worst images of a validation, those of this process.

    Afterwards ``best`` begins with the best one, ``worst`` with the worst, and no image is in both.

    Args:
        count: how many of each are kept.
        mode: whether more (``"max"``) or less of an image's ``score`` is better.

    Attributes:
        validated: how many images came by.
        total: the sum of their scores.
    """

    def __init__(self, *, count: int, mode: str) -> None:
        self.count, self.sign = count, 1 if mode == "max" else -1
        self.validated, self.total = 0, 0.0
        self._best: list[Kept] = []
        self._worst: list[Kept] = []

    @property
    def worst(self) -> list[Kept]:
        """The worst first; at most the worse half of all."""
        return self._worst[: -(-self.validated // 2)]

    @property
    def best(self) -> list[Kept]:
        """The best first; at most the better half of all."""
        return self._best[: self.validated // 2]

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Compares the batch's images with those kept."""
        self.observe(batch, outputs)

    def observe(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Compares images with those kept; only what is kept is copied to the CPU.

        Args:
            batch: has ``name``.
            output: has ``score``, one for each image.
        """
        for place, (name, score) in enumerate(zip(batch["name"], output["score"].tolist(), strict=True)):
            self.validated += 1
            self.total += score
            rank = (self.sign * score, name)  # of equal scores the name decides, so that no image is in both lists
            best = len(self._best) < self.count or rank > _rank(self._best[-1])
            worst = len(self._worst) < self.count or rank < _rank(self._worst[-1])
            if not best and not worst:
                continue
            kept = Kept(order=rank[0], name=name, score=score, item=pick(batch, place), output=pick(output, place))
            if best:
                self._best = sorted([*self._best, kept], key=_rank, reverse=True)[: self.count]
            if worst:
                self._worst = sorted([*self._worst, kept], key=_rank)[: self.count]


def _rank(kept: Kept) -> tuple[float, str]:
    return kept.order, kept.name
