"""Early stopping within a stage: the next stage begins when the validation score no longer improves."""

from collections.abc import Sequence
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from callbacks.checkpoints.best_epoch import BestEpoch
from datamodules.stage import Stage, stage_ends, stage_index


class StagePatience(Callback):
    """Ends a stage after ``patience`` validated epochs without a better score.

    The remaining epochs of the stage are skipped and keep their numbers, so that the stage of a run still follows from
    its epoch alone, and a resumed run continues as an unbroken one. This callback has to precede those that act at the
    end of a stage.

    A one-cycle schedule is planned for all epochs of its stage. If the stage ends early, the learning rate has not
    fallen to its end, and the score is often worse than that of a stage with fewer epochs that ends its cycle.

    Args:
        stages: the stages of the run.
        monitor: name of the validation metric.
        mode: whether a larger (``"max"``) or a smaller value is better.
    """

    def __init__(self, stages: Sequence[Stage], *, monitor: str, mode: Literal["min", "max"]) -> None:
        self.stages, self.monitor = list(stages), monitor
        self.best_epoch = BestEpoch(mode=mode)
        self.waited = 0  # validated epochs since the best one
        self._score: float | None = None  # of the epoch that ends

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the score."""
        score = trainer.callback_metrics.get(self.monitor)
        if score is not None and not trainer.sanity_checking and trainer.state.fn == "fit":
            self._score = float(score)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Counts the epoch, and skips the others of its stage if the patience is used up."""
        score, self._score = self._score, None
        epoch = trainer.current_epoch
        index = stage_index(self.stages, epoch)
        stage, end = self.stages[index], stage_ends(self.stages)[index]
        if stage.patience is None or score is None:
            return
        improved = self.best_epoch.update(score, epoch=epoch, stage=index)
        self.waited = 0 if improved else self.waited + 1
        skipped = end - (epoch + 1)
        if self.waited < stage.patience or skipped <= 0:
            return
        trained = stage.epochs - skipped
        rank_zero_info(
            f"stage {stage.name} ends after {trained} of {stage.epochs} epochs: {self.monitor} was not better than "
            f"{self.best_epoch.score:.4f} in {stage.patience} epochs"
        )
        progress: Any = trainer.fit_loop.epoch_progress.current
        for counter in ("ready", "started", "processed", "completed"):
            setattr(progress, counter, getattr(progress, counter) + skipped)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch and the epochs since, for a resumed run."""
        return self.best_epoch.state_dict() | {"waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.best_epoch.load_state_dict(state_dict)
        self.waited = state_dict["waited"]
