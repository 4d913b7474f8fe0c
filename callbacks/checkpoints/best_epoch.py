"""The best epoch of the current stage, for the checkpoint and for the dashboard alike."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(kw_only=True)
class BestEpoch:
    """Remembers the best value of a metric; the comparison starts again with every stage.

    A metric at 128 px is not comparable with the same metric at 512 px.

    Args:
        mode: whether a larger (``"max"``) or a smaller value is better.
        score: the best value so far; NaN if nothing was measured yet.
        epoch: the epoch it belongs to, from 0.
        stage: the stage it belongs to, from 0.

    >>> best = BestEpoch(mode="max")
    >>> best.update(0.9, epoch=0, stage=0), best.update(0.8, epoch=1, stage=0), best.update(0.5, epoch=2, stage=1)
    (True, False, True)
    >>> best.score, best.epoch
    (0.5, 2)
    """

    mode: Literal["min", "max"]
    score: float = math.nan
    epoch: int = -1
    stage: int = -1

    def update(self, score: float, *, epoch: int, stage: int) -> bool:
        """Compares one epoch with the best one and keeps the better; returns whether ``epoch`` is now the best."""
        better = score > self.score if self.mode == "max" else score < self.score
        if not (better or math.isnan(self.score) or stage != self.stage):
            return False
        self.score, self.epoch, self.stage = score, epoch, stage
        return True

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {f"best_{name}": value for name, value in asdict(self).items() if name != "mode"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.score, self.epoch, self.stage = (state[f"best_{name}"] for name in ("score", "epoch", "stage"))
