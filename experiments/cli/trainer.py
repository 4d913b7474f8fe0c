"""The trainer, and its settings that depend on the command, the stages and the distributed options."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning import Trainer
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher

from callbacks.checkpoints.checkpoint_io import AtomicCheckpointIO
from callbacks.distributed.ddp import AutoSyncBatchNorm, Ddp
from datamodules.stage import Stage
from experiments.cli.settings import Settings
from experiments.cli.usage import UsageError
from experiments.runs.folder import RunFolder

# ``deterministic=True`` is not needed: on a CPU runs are bitwise reproducible without it. With it, torchmetrics counts
# a confusion matrix by comparing every pixel with every bin, which takes gigabytes.
TRAINER_DEFAULTS = {
    # Small data sets have few steps an epoch. Logging every step costs 0.4 ms.
    "log_every_n_steps": 1,
    # The data modules distribute samples without padding, so that validation is exact on any number of ranks.
    "use_distributed_sampler": False,
}
# The smallest valid values. Lightning accepts smaller ones and fails in the middle of a run.
_MINIMA = {
    "max_epochs": -1,
    "max_steps": -1,
    "log_every_n_steps": 1,
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "num_sanity_val_steps": -1,
    "reload_dataloaders_every_n_epochs": 0,
    "gradient_clip_val": 0,
}
# With 0 ``fit`` would do nothing.
_POSITIVE = ("max_epochs", "max_steps", "limit_train_batches")


class NoProfiler(PassThroughProfiler):
    """Profiles nothing, with one context for all actions.

    Lightning wraps every hook of every callback in a context of its profiler, over a hundred in each step. The stock
    one makes each of them anew, which takes longer than most of the hooks.
    """

    _context = nullcontext()

    def profile(self, action_name: str) -> Any:  # noqa: ARG002
        """A context that does nothing."""
        return self._context


class RunTrainer(Trainer):
    """Lightning's Trainer, whose ``limit_*`` options read ``1`` as one batch and ``1.0`` as all batches.

    In Lightning's annotations ``float`` comes before ``int`` (``typing`` caches unions regardless of their order), so
    jsonargparse parses ``1`` as ``1.0``.
    """

    def __init__(
        self,
        *,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            limit_test_batches=limit_test_batches,
            limit_predict_batches=limit_predict_batches,
            **options,
        )


def command_settings(trainer: Namespace, *, command: str, folder: RunFolder, stages: Sequence[Stage]) -> Settings:
    """Returns the trainer's settings that follow from the command and the stages.

    Args:
        trainer: the user's settings of the trainer.
        command: name of the command.
        folder: folder of the run.
        stages: stages of the run; their epochs are the default of ``max_epochs``.

    Raises:
        UsageError: for a value out of its range, or more epochs than the stages have.
    """
    for name, minimum in _MINIMA.items():
        value = trainer.get(name)
        if value is not None and value < minimum:
            raise UsageError(f"trainer.{name} must be at least {minimum}, not {value}")
    for name in _POSITIVE if command == "fit" else ():
        value = trainer.get(name)
        if isinstance(value, int | float) and value == 0:
            raise UsageError(f"trainer.{name} is 0: nothing would be trained. Leave it out to train all stages")
    if isinstance(trainer.val_check_interval, int | float) and trainer.val_check_interval <= 0:
        raise UsageError(f"trainer.val_check_interval must be above 0, not {trainer.val_check_interval}")
    epochs = sum(stage.epochs for stage in stages)
    settings: Settings = {"default_root_dir": trainer.default_root_dir or str(folder.path)}
    if trainer.profiler is None:
        settings["profiler"] = NoProfiler()
    if command == "lr-find":
        settings["max_epochs"] = -1  # it limits its steps itself
    elif trainer.max_epochs in (None, -1):
        settings["max_epochs"] = epochs  # also with max_steps: no stage has a schedule for more epochs
    elif command == "fit" and trainer.max_epochs > epochs:
        raise UsageError(
            f"trainer.max_epochs is {trainer.max_epochs}, but the stages have {epochs} epochs: set the epochs of the "
            f"stages instead, for example --stages.{len(stages) - 1}.epochs {_last_epochs(trainer.max_epochs, stages)}"
        )
    if command != "fit":
        settings |= {"logger": False, "enable_checkpointing": False}
    elif trainer.logger in (None, True):
        settings["logger"] = TensorBoardLogger(folder.path, name="", version="", default_hp_metric=False)
    return settings


def add_plugins(
    settings: Settings, *, ddp: Ddp, stages: Sequence[Stage], contents: Mapping[Path, dict[str, Any]]
) -> None:
    """Adds the plugins for checkpoints, Slurm and synchronized batch norm to the trainer's settings, in place.

    Args:
        settings: all settings of the trainer.
        ddp: the distributed options.
        stages: stages of the run.
        contents: checkpoint files that were already read, by path.

    Raises:
        UsageError: if options exclude each other.
    """
    if ddp.static_graph and settings["accumulate_grad_batches"] > 1:
        raise UsageError(
            "ddp.static_graph cannot be combined with trainer.accumulate_grad_batches "
            f"{settings['accumulate_grad_batches']}: torch's DDP fails at the first step. Leave one of them out"
        )
    given = settings.get("plugins")
    plugins = list(given) if isinstance(given, list | tuple) else [] if given is None else [given]
    plugins.append(AtomicCheckpointIO(contents))
    if SLURMEnvironment.detect():  # the stock plugin would handle the signals and requeue the job itself
        plugins.append(SLURMEnvironment(auto_requeue=False))
    settings["sync_batchnorm"] = settings["sync_batchnorm"] or ddp.sync_batchnorm is True
    if ddp.sync_batchnorm == "auto" and not settings["sync_batchnorm"]:
        plugins.append(AutoSyncBatchNorm(stages))
    settings["plugins"] = plugins


def check_launcher(trainer: Trainer) -> None:
    """Refuses strategies that copy the program's state into new processes: signal handlers and locks cannot be copied.

    Raises:
        UsageError: for ``ddp_spawn``, ``ddp_fork`` and ``ddp_notebook``.
    """
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UsageError(
            "trainer.strategy: ranks are started as programs of their own, and not by spawn or fork as in ddp_spawn, "
            "ddp_fork and ddp_notebook: use --trainer.strategy ddp"
        )


def _last_epochs(total: int, stages: Sequence[Stage]) -> int:
    """Returns the epochs of the last stage with which the stages have ``total`` epochs."""
    return total - sum(stage.epochs for stage in stages[:-1])
