"""Settings of Lightning's Trainer that depend on the command, the stages and the distributed options."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.loggers import TensorBoardLogger

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


def command_settings(trainer: Namespace, *, command: str, folder: RunFolder, stages: Sequence[Stage]) -> Settings:
    """Returns the trainer's settings that follow from the command and the stages.

    Args:
        trainer: the user's settings of the trainer.
        command: name of the command.
        folder: folder of the run.
        stages: stages of the run; their epochs are the default of ``max_epochs``.
    """
    settings: Settings = {"default_root_dir": trainer.default_root_dir or str(folder.path)}
    if command == "lr-find":
        settings["max_epochs"] = -1  # it limits its steps itself
    elif trainer.max_epochs is None and trainer.max_steps == -1:
        settings["max_epochs"] = sum(stage.epochs for stage in stages)
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
