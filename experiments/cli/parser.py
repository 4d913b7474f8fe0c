"""LightningCLI, bent to one flat configuration for all commands and to our order of settings."""

import json
from argparse import ArgumentError
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks.checkpoints.checkpoint_io import AtomicCheckpointIO
from callbacks.distributed.ddp import AutoSyncBatchNorm, Ddp, use_run_ddp
from callbacks.distributed.error_report import ErrorReport
from datamodules.base import ImageDataModule
from datamodules.stage import Stage
from experiments.cli.arguments import OPTIONS
from experiments.cli.errors import one_line
from experiments.cli.expected import FAILURES, MISTAKES
from experiments.cli.parser_errors import plain
from experiments.cli.settings import Settings
from experiments.cli.usage import UsageError
from experiments.commands.fit_callbacks import Averaging, Saving, fit_callbacks
from experiments.commands.table import COMMANDS
from experiments.runs.checkpoint import Loaded, describe, refuse_other_task
from experiments.runs.context import RunContext
from experiments.runs.fitting import check_network, check_stage, put_weights
from experiments.runs.folder import RunFolder
from experiments.tasks.table import Task
from lightning_modules.base import ImageTask

# Not among them: deterministic=True. On a CPU runs repeat to the last bit without it, and under it torchmetrics counts
# by comparing every pixel with every bin, which takes gigabytes.
TRAINER_DEFAULTS = {
    # small data sets have few steps an epoch, and a curve of every step costs 0.4 ms
    "log_every_n_steps": 1,
    # the data modules share images out themselves, without padding: validation is exact on any number of processes
    "use_distributed_sampler": False,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the command line came to, once files were read.

    Args:
        task_name: name of the task.
        task: its row of the table.
        command_name: name of the command.
        folder: the run's folder.
        settings: recipe, checkpoint and files laid over each other.
        flags: options of the command line that come on top.
        loaded: the checkpoint in use, if there is one.
        resumes: whether a fit goes on from ``loaded``, instead of starting anew.
    """

    task_name: str
    task: Task
    command_name: str
    folder: RunFolder
    settings: Settings
    flags: Sequence[str]
    loaded: Loaded | None
    resumes: bool


class DarkroomCLI(LightningCLI):
    """Parses, then builds data, module and trainer; the command runs afterwards.

    Attributes:
        config: everything that was set, command's own options included.
        datamodule: built, its stage set; neither prepared nor set up.
        model: built; with the checkpoint's weights in it wherever there is one.
        trainer: built; logs and saves in ``fit`` only.
        stages: the stages of the recipe.
        stage: the stage ``loaded`` was saved in; without a checkpoint, the first one.
        started: names of the tensors that came from the file of ``--init_from``.

    Args:
        plan: what to do.
    """

    datamodule: ImageDataModule
    model: ImageTask
    trainer: Trainer
    started: Collection[str] = ()

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loaded, self.folder = plan.loaded, plan.folder
        self.spec = plan.task.load()
        super().__init__(
            model_class=self.spec.module,
            datamodule_class=ImageDataModule,
            subclass_mode_data=True,
            save_config_callback=None,  # ours is written when all processes have met
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False, "dump_header": self._header()},
            args=["--config", json.dumps(plan.settings), *plan.flags],
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds what is ours beside trainer, model and data."""
        parser.add_argument("--stages", type=list[Stage], help="what is trained, in order: see the recipes")
        parser.add_argument("--init_from", type=Path | None, default=None, help="checkpoint to take first weights from")
        parser.add_argument("--ema", type=Averaging, default=Averaging(), help="averaged weights")
        parser.add_argument("--checkpoint", type=Saving, default=Saving(), help="when checkpoints are written")
        parser.add_argument("--ddp", type=Ddp, default=Ddp(), help="how several processes train one network")
        # the run has one seed, and what the data are decides what the network has to tell apart
        parser.link_arguments("seed_everything", "data.init_args.seed")
        for link in self.spec.links:
            parser.link_arguments(link.source, link.target, compute_fn=link.compute, apply_on="instantiate")
        COMMANDS[self.plan.command_name].add_arguments(parser)
        if self.plan.command_name == "predict":
            self.spec.add_predict_arguments(parser)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses without the stock warning about ``sys.argv``, which stays whole for the other processes' start.

        Raises:
            UsageError: for a key or value that cannot be.
        """
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            known = [*parser.get_defaults().keys(), *(option.lstrip("-") for option in OPTIONS)]
            raise UsageError(plain(str(error), known=known)) from error

    def instantiate_classes(self) -> None:
        """Builds everything.

        Raises:
            UsageError: if a class refuses what it was given.
        """
        config = self.config.clone()
        training = self.plan.command_name in ("fit", "lr-find")
        if self.loaded is not None or config.init_from is not None or not training:
            without_pretrained(config.model)  # nothing to look for or to download
        with _refusals():
            self.config_init = self.parser.instantiate(config)
        self.stages: list[Stage] = self.config_init.stages
        if not self.stages:
            raise UsageError("stages is empty: a run needs at least one, see the shipped recipes")
        self.stage = self.loaded.stage if self.loaded else self.stages[0]
        self.datamodule, self.model = self.config_init.data, self.config_init.model
        with _refusals():
            for stage in (*self.stages, self.stage):
                self.model.set_stage(stage)
        if self.loaded is None and config.init_from is not None:
            refuse_other_task(config.init_from, self.plan.task_name)
            self.started = self.spec.init_from(self.model, config.init_from)
        self.trainer = self.instantiate_trainer()
        self.datamodule.set_stage(self.stage)
        if self.loaded is not None and self.plan.resumes:  # a fit restores the weights with everything else
            check_network(self.model, self.loaded)
            check_stage(self.stages, self.loaded)
        elif self.loaded is not None:
            put_weights(self.model, self.loaded)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Builds the trainer, with all that a run needs where the command is ``fit``."""
        given = self.config.trainer
        own: Settings = {"default_root_dir": given.default_root_dir or str(self.folder.path)}
        if given.max_epochs is None and given.max_steps == -1:
            own["max_epochs"] = sum(stage.epochs for stage in self.stages)
        if self.plan.command_name == "lr-find":
            own["max_epochs"] = -1  # it counts its own steps
        if self.plan.command_name != "fit":
            own |= {"logger": False, "enable_checkpointing": False}
        elif given.logger in (None, True):
            own["logger"] = TensorBoardLogger(self.folder.path, name="", version="", default_hp_metric=False)
        return super().instantiate_trainer(**own, **kwargs)

    def _header(self) -> list[str]:
        return [
            f"the exact configuration of a run of the task '{self.plan.task_name}'; to repeat it:",
            f"python experiments/run.py --task {self.plan.task_name} --config THIS_FILE",
        ]

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        if self.plan.command_name == "fit":
            text = self._config_text()
            ours = fit_callbacks(
                spec=self.spec,
                folder=self.folder,
                stages=self.stages,
                model=self.model,
                datamodule=self.datamodule,
                initialized=self.started,
                config=self.config_init,
                config_text=text,
                record=describe(self.plan.task_name, self.model, text),
            )
            callbacks = [*callbacks, *ours]
        ddp: Ddp = self.config_init.ddp
        if ddp.static_graph and config["accumulate_grad_batches"] > 1:
            raise UsageError(
                "ddp.static_graph does not go with trainer.accumulate_grad_batches "
                f"{config['accumulate_grad_batches']}: torch's DDP fails at the first step. Leave one of them out"
            )
        callbacks = [ErrorReport(one_line), *callbacks]
        config["plugins"] = [*_as_list(config.get("plugins")), AtomicCheckpointIO()]
        if SLURMEnvironment.detect():  # stock, it would answer the signals itself and ask for a new start
            config["plugins"].append(SLURMEnvironment(auto_requeue=False))
        config["sync_batchnorm"] = config["sync_batchnorm"] or ddp.sync_batchnorm is True
        if ddp.sync_batchnorm == "auto" and not config["sync_batchnorm"]:
            config["plugins"].append(AutoSyncBatchNorm(self.stages))
        with _refusals(), use_run_ddp(ddp, training=self.plan.command_name in ("fit", "lr-find")):
            trainer: Trainer = super()._instantiate_trainer(config, callbacks)
        if config["sync_batchnorm"] and trainer.strategy.root_device.type != "cuda":
            raise UsageError(
                "ddp.sync_batchnorm: torch synchronises batch norm on GPUs only: leave it at auto or false"
            )
        return trainer

    def context(self) -> RunContext:
        """The objects that the command works with."""
        return RunContext(
            task_name=self.plan.task_name,
            spec=self.spec,
            command=self.plan.command_name,
            folder=self.folder,
            config=self.config,
            config_text=self._config_text(),
            stages=self.stages,
            stage=self.stage,
            datamodule=self.datamodule,
            model=self.model,
            trainer=self.trainer,
            checkpoint=self.loaded,
        )

    def _config_text(self) -> str:
        text: str = self.parser.dump(self.config, skip_unset=False, skip_validation=True, format="yaml")
        return text


def build_context(plan: Plan) -> RunContext:
    """Parses the settings of ``plan`` and builds data module, model and trainer.

    Raises:
        UsageError: for a key or value that does not exist or does not go together.
        CheckpointError: if the checkpoint does not fit the network or the stages.
    """
    return DarkroomCLI(plan).context()


def without_pretrained(settings: Namespace) -> None:
    """Turns every ``pretrained`` into ``"none"``, in place."""
    for key in list(settings.keys()):
        if key.rpartition(".")[2] == "pretrained":
            settings[key] = "none"


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


@contextmanager
def _refusals() -> Iterator[None]:
    """Takes what a constructor raises for a user's mistake: it has been given something it cannot work with."""
    try:
        yield
    except (*MISTAKES, *FAILURES):
        raise
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UsageError(" ".join(str(error).split())) from error
