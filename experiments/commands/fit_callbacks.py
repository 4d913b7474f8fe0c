"""What a fit needs whatever a recipe's own ``callbacks`` say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning import Callback

from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from callbacks.checkpoints.run_files import RunConfig, SkippedFiles
from callbacks.checkpoints.save_on_signal import SaveOnSignal
from callbacks.distributed.replica_check import ReplicaGuard
from callbacks.training.non_finite_guard import NonFiniteGuard
from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.training.step_seed import StatelessRandomness
from callbacks.training.weight_averaging import StageAverage
from callbacks.visualization.dashboard import Dashboard
from experiments.cli.signals import TRAINING

if TYPE_CHECKING:
    from experiments.cli.parser import DarkroomCLI


@dataclass(frozen=True, kw_only=True)
class Averaging:
    """Averaged weights: smoother than the last step's, and what is validated and saved. Begun anew in every stage.

    Args:
        decay: share of the average that stays at every step, 0.99 to 0.9999; ``None`` trains without an average.

    Raises:
        ValueError: if ``decay`` is out of its range.
    """

    decay: float | None = None

    def __post_init__(self) -> None:
        if self.decay is not None and not 0 <= self.decay < 1:
            raise ValueError(f"decay is {self.decay:g}: at least 0 and less than 1 is needed, 0.999 for example")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """When checkpoints are written, beside those at the end of every epoch.

    Args:
        every_n_steps: optimiser steps between two renewals of ``last.ckpt`` inside an epoch.
    """

    every_n_steps: int = 500


def fit_callbacks(cli: DarkroomCLI) -> list[Callback]:
    """Makes them in the order in which Lightning shall call them: the stage is set before anything looks at it."""
    task = cli.plan.task
    checkpoint = RunCheckpoint(
        cli.folder.checkpoints,
        stages=cli.stages,
        monitor=task.monitor,
        mode=task.mode,
        every_n_steps=cli.config_init.checkpoint.every_n_steps,
        record=cli.record(),
    )
    return [
        RunConfig(cli.folder.config, cli.config_text()),
        SkippedFiles(cli.folder.skipped),
        ReplicaGuard(cli.stages, every_n_steps=cli.config_init.ddp.check_every_n_steps),
        ProgressiveResizing(cli.stages),
        *cli.parts.start(cli.model, cli.started),
        StatelessRandomness(cli.config.seed_everything),
        NonFiniteGuard(),
        cli.parts.figures(),
        *_average(cli),
        Dashboard(configuration=cli.plain_config(), monitor=task.monitor, mode=task.mode, scores=task.scores),
        SaveOnSignal(checkpoint, training=TRAINING),
        checkpoint,
    ]


def _average(cli: DarkroomCLI) -> list[Callback]:
    decay = cli.config_init.ema.decay
    return [] if decay is None else [StageAverage(cli.stages, decay=decay)]
