"""Callbacks that every ``fit`` uses, in addition to the ``callbacks`` of a recipe."""

from collections.abc import Collection, Sequence
from typing import Any

from jsonargparse import Namespace
from lightning import Callback

from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from callbacks.checkpoints.run_files import ConfigWriter, SkippedFilesWriter
from callbacks.checkpoints.save_on_signal import SaveOnSignal
from callbacks.distributed.replica_check import ReplicaCheck
from callbacks.training.compiled_network import CompiledNetwork
from callbacks.training.monitor_check import MonitorCheck
from callbacks.training.non_finite_guard import NonFiniteGuard
from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.training.stage_patience import StagePatience
from callbacks.training.step_profile import StepProfile
from callbacks.training.step_seed import StepSeed
from callbacks.training.weight_averaging import StageWeightAveraging
from callbacks.visualization.dashboard import Dashboard
from callbacks.visualization.data_wait import DataWaitReport
from callbacks.visualization.figures import FigureLogger
from datamodules.base import ImageDataModule
from datamodules.errors import LoaderTimeoutError
from datamodules.loading.loader import STOP_REQUESTED
from datamodules.loading.parallel import usable_cores
from datamodules.stage import Stage
from experiments.cli.settings import plain_values
from experiments.cli.signals import TRAINING
from experiments.runs.folder import RunFolder
from experiments.tasks.spec import TaskSpec
from lightning_modules.base import ImageTask


def fit_callbacks(
    *,
    spec: TaskSpec[Any],
    folder: RunFolder,
    stages: Sequence[Stage],
    model: ImageTask,
    datamodule: ImageDataModule,
    initialized: Collection[str],
    config: Namespace,
    config_text: str,
    record: dict[str, Any],
) -> list[Callback]:
    """Returns the callbacks in the order in which Lightning calls them: the stage is set before others read it.

    Args:
        spec: the task.
        folder: folder of the run.
        stages: stages of the run.
        model: the module that is trained.
        datamodule: its data.
        initialized: names of the tensors that ``--init_from`` has set.
        config: all settings, with ``ema``, ``checkpoint`` and ``ddp`` instantiated.
        config_text: all settings as YAML, written into the run's folder.
        record: see ``checkpoint_record``; saved in every checkpoint.
    """
    checkpoint = RunCheckpoint(
        folder.checkpoints,
        stages=stages,
        monitor=spec.monitor,
        mode=spec.mode,
        every_n_steps=config.checkpoint.every_n_steps,
        record=record,
        measured=datamodule.measured,
    )
    averaging = [] if config.ema.decay is None else [StageWeightAveraging(stages, decay=config.ema.decay)]
    patient = any(stage.patience is not None for stage in stages)
    patience = [StagePatience(stages, monitor=spec.monitor, mode=spec.mode)] if patient else []
    profile = [StepProfile(folder.path / "profile.json")] if config.profile else []
    compiled = [CompiledNetwork(len(stages))] if config.compile else []
    return [
        *profile,
        *compiled,
        ConfigWriter(folder.config, config_text),
        SkippedFilesWriter(folder.skipped),
        *patience,
        ReplicaCheck(stages, every_n_steps=config.ddp.check_every_n_steps),
        ProgressiveResizing(stages),
        *spec.init_callbacks(model, initialized),
        StepSeed(config.seed_everything),
        NonFiniteGuard(),
        MonitorCheck(),
        FigureLogger(spec.figures(model, datamodule), mode=spec.mode, folder=folder.figures),
        *averaging,
        Dashboard(configuration=plain_values(config_text), monitor=spec.monitor, mode=spec.mode, scores=spec.scores),
        DataWaitReport(cores=usable_cores()),
        SaveOnSignal(checkpoint, training=TRAINING, requested=STOP_REQUESTED, no_batch=LoaderTimeoutError),
        checkpoint,
    ]
