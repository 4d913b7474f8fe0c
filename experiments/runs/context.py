"""The objects of one run, built once and passed to commands, reports and writers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jsonargparse import Namespace
from lightning import Trainer

from datamodules.base import ImageDataModule
from datamodules.stage import Stage
from experiments.runs.checkpoint import LoadedCheckpoint
from experiments.runs.folder import RunFolder
from experiments.tasks.spec import TaskSpec
from lightning_modules.base import ImageTask


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Everything a command works with.

    Args:
        task_name: key of the task table.
        spec: what the task adds to the commands.
        command: name of the command.
        folder: folder of the run.
        config: all settings, the command's own options included, before classes are instantiated.
        config_text: the same as YAML; given as ``--config`` it repeats the run.
        stages: stages of the recipe, at least one.
        stage: stage that ``checkpoint`` was saved in; the first stage without a checkpoint.
        datamodule: instantiated with its stage set; neither prepared nor set up.
        model: instantiated, with the checkpoint's weights loaded if there is one. A resumed ``fit`` leaves loading to
            the trainer, which also restores the optimizer.
        trainer: logs and saves in ``fit`` only.
        checkpoint: the checkpoint in use, ``None`` for a new network.
        trust_config: whether the settings may name any class; the commands that are printed repeat it.
    """

    task_name: str
    spec: TaskSpec[Any]
    command: str
    folder: RunFolder
    config: Namespace
    config_text: str
    stages: Sequence[Stage]
    stage: Stage
    datamodule: ImageDataModule
    model: ImageTask
    trainer: Trainer
    checkpoint: LoadedCheckpoint | None
    trust_config: bool
