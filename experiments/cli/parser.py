"""The parser of all settings: LightningCLI with one flat configuration for all commands."""

import json
from argparse import ArgumentError
from collections.abc import Collection
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from callbacks.distributed.ddp import Ddp, use_run_ddp
from callbacks.distributed.error_report import ErrorReport
from datamodules.base import ImageDataModule
from datamodules.stage import Stage
from experiments.cli.arguments import OPTIONS
from experiments.cli.errors import constructor_errors, describe_error, recording_constructor
from experiments.cli.full_help import full_help
from experiments.cli.loggers import add_logger_defaults, set_log_folders
from experiments.cli.parser_errors import describe_parser_error
from experiments.cli.plan import Plan
from experiments.cli.precision import adapt_precision
from experiments.cli.settings import disable_pretrained, replace_enums
from experiments.cli.signals import is_first_rank
from experiments.cli.trainer import TRAINER_DEFAULTS, RunTrainer, add_plugins, check_launcher, command_settings
from experiments.cli.trust import check_config, import_policy
from experiments.cli.usage import UsageError
from experiments.commands.fit_settings import Averaging, Saving
from experiments.commands.table import COMMANDS
from experiments.runs.checkpoint import checkpoint_record
from experiments.runs.checkpoint_match import check_network, check_stage, load_weights
from experiments.runs.command_line import documented_program
from experiments.runs.context import RunContext
from experiments.runs.initial_weights import read_initial_weights
from experiments.tasks.table import TASKS
from lightning_modules.base import ImageTask


class DarkroomCLI(LightningCLI):
    """Parses the settings and instantiates data module, model and trainer; does not run the command.

    Attributes:
        config: all settings, the command's own options included.
        datamodule: instantiated with its stage set; neither prepared nor set up.
        model: instantiated, with the checkpoint's weights loaded unless ``fit`` resumes from it.
        trainer: logs and saves in ``fit`` only.
        stages: stages of the recipe.
        stage: stage that the checkpoint was saved in; the first stage without a checkpoint.
        initialized: names of the tensors that ``--init_from`` has set.

    Args:
        plan: the command, its folder and its settings.
    """

    datamodule: ImageDataModule
    model: ImageTask
    trainer: Trainer
    initialized: Collection[str] = ()

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.spec = TASKS[plan.task_name].load()
        header = [
            f"the exact configuration of a run of the task '{plan.task_name}'; to repeat it:",
            f"{documented_program()} --task {plan.task_name} --config THIS_FILE",
        ]
        settings, flags = add_logger_defaults(plan.settings, plan.flags)
        super().__init__(
            model_class=self.spec.module,
            datamodule_class=ImageDataModule,
            trainer_class=RunTrainer,
            subclass_mode_data=True,
            save_config_callback=None,  # ConfigWriter saves it when all ranks are connected
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={
                "description": f"All options of --task {plan.task_name} {plan.command}.",
                "exit_on_error": False,
                "allow_abbrev": False,
                "dump_header": header,
            },
            args=["--config", json.dumps(settings), *flags],
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options beside trainer, model and data."""
        parser.add_argument("--stages", type=list[Stage], help="stages of training, in order: see the recipes")
        parser.add_argument(
            "--init_from", type=Path | None, default=None, help="checkpoint to take initial weights from"
        )
        parser.add_argument("--ema", type=Averaging, default=Averaging(), help="moving average of the weights")
        parser.add_argument("--checkpoint", type=Saving, default=Saving(), help="when checkpoints are written")
        parser.add_argument("--ddp", type=Ddp, default=Ddp(), help="training on several devices")
        parser.add_argument("--profile", type=bool, default=False, help="fit: profile the steps 6 to 10, for Perfetto")
        parser.add_argument("--compile", type=bool, default=False, help="fit: compile the network by torch.compile")
        # A run has one seed, and the data determine the classes of the network.
        parser.link_arguments("seed_everything", "data.init_args.seed")
        for link in self.spec.links:
            parser.link_arguments(link.source, link.target, compute_fn=link.compute, apply_on="instantiate")
        COMMANDS[self.plan.command].add_arguments(parser)
        if self.plan.command == "predict":
            self.spec.add_predict_arguments(parser)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the settings.

        The stock method warns that ``sys.argv`` is ignored; it stays complete because ranks are started with it.

        Raises:
            UsageError: for a key that does not exist, a value of the wrong type, or code that is not trusted.
        """
        try:
            self.config = replace_enums(parser.parse_args(args))
        except ArgumentError as error:
            known = [*parser.get_defaults().keys(), *(option.lstrip("-") for option in OPTIONS)]
            raise UsageError(describe_parser_error(error, known=known)) from error
        if not self.plan.trust_config:
            check_config(self.config)
        if self.plan.help_all:
            print(full_help(parser, self.config))
            raise SystemExit(0)
        note = adapt_precision(
            self.config.trainer, chosen=self.plan.precision_chosen, before=self.plan.precision_before
        )
        if note is not None and is_first_rank():
            print(note)

    def instantiate_classes(self) -> None:
        """Instantiates data module, model and trainer.

        Raises:
            UsageError: if a class refuses its arguments.
            CheckpointError: if the checkpoint does not match the network or the stages.
        """
        config, checkpoint = self.config.clone(), self.plan.checkpoint
        if checkpoint is not None or config.init_from is not None or not self._trains:
            disable_pretrained(config.model)  # the weights come from a file or are not needed
        if self.plan.command == "fit":
            set_log_folders(config.trainer, self.plan.folder.path)
        else:
            config.trainer.logger = False
        refusals: list[Exception] = []
        with constructor_errors(refusals):
            construct = recording_constructor(refusals)
            self.config_init = self.parser.instantiate(config, instantiators=[(construct, object, True)])
        self.stages: list[Stage] = self.config_init.stages
        if not self.stages:
            raise UsageError("stages is empty: a run needs at least one stage, see the shipped recipes")
        self.stage = checkpoint.stage if checkpoint else self.stages[0]
        self.datamodule, self.model = self.config_init.data, self.config_init.model
        with constructor_errors():
            for stage in (*self.stages, self.stage):
                self.model.set_stage(stage)
                if checkpoint is None or self._trains:
                    self.model.check_stage(stage)
        self.spec.check_data(self.model, self.datamodule)
        if checkpoint is None and config.init_from is not None:
            weights = read_initial_weights(config.init_from, self.plan.task_name)
            self.initialized = self.spec.init_from(self.model, weights)
        self.trainer = self.instantiate_trainer()
        self.datamodule.set_stage(self.stage)
        if checkpoint is not None:
            self.datamodule.use_measured(checkpoint.record)
        if checkpoint is not None and self.plan.command == "fit":  # the trainer loads weights and optimizer
            check_network(self.model, checkpoint)
            check_stage(self.stages, checkpoint)
        elif checkpoint is not None:
            load_weights(self.model, checkpoint)
            if self.plan.more_checkpoints:
                self.spec.average_(self.model, self.plan.more_checkpoints, trust_config=self.plan.trust_config)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Instantiates the trainer with the settings and callbacks of the command."""
        settings = command_settings(
            self.config.trainer, command=self.plan.command, folder=self.plan.folder, stages=self.stages
        )
        return super().instantiate_trainer(**settings, **kwargs)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        callbacks = [ErrorReport(describe_error), *callbacks, *self._training_callbacks()]
        ddp: Ddp = self.config_init.ddp
        add_plugins(config, ddp=ddp, stages=self.stages, contents=self.plan.contents)
        with constructor_errors(), use_run_ddp(ddp, training=self._trains):
            trainer: Trainer = super()._instantiate_trainer(config, callbacks)
        check_launcher(trainer)
        if config["sync_batchnorm"] and trainer.strategy.root_device.type != "cuda":
            raise UsageError(
                "ddp.sync_batchnorm: torch synchronizes batch norm on GPUs only: leave it at auto or false"
            )
        return trainer

    def _training_callbacks(self) -> list[Callback]:
        if self.plan.command == "lr-find":  # it starts from the same weights and loss as the first step of fit
            return self.spec.init_callbacks(self.model, self.initialized)
        if self.plan.command != "fit":
            return []
        # Imported late: the dashboard needs TensorBoard, which other commands do not.
        from experiments.commands.fit_callbacks import fit_callbacks

        return fit_callbacks(
            spec=self.spec,
            folder=self.plan.folder,
            stages=self.stages,
            model=self.model,
            datamodule=self.datamodule,
            initialized=self.initialized,
            config=self.config_init,
            config_text=self._config_text(),
            record=checkpoint_record(self.plan.task_name, self.model, self._config_text()),
        )

    @property
    def _trains(self) -> bool:
        return self.plan.command in ("fit", "lr-find")

    def context(self) -> RunContext:
        """Returns the objects that the command works with."""
        return RunContext(
            task_name=self.plan.task_name,
            spec=self.spec,
            command=self.plan.command,
            folder=self.plan.folder,
            config=self.config,
            config_text=self._config_text(),
            stages=self.stages,
            stage=self.stage,
            datamodule=self.datamodule,
            model=self.model,
            trainer=self.trainer,
            checkpoint=self.plan.checkpoint,
            trust_config=self.plan.trust_config,
        )

    def _config_text(self) -> str:
        text: str = self.parser.dump(self.config, skip_unset=False, skip_validation=True, format="yaml")
        return text


def build_context(plan: Plan) -> RunContext:
    """Parses the settings of ``plan`` and instantiates data module, model and trainer.

    Raises:
        UsageError: for settings that do not exist or exclude each other.
        CheckpointError: if the checkpoint does not match the network or the stages.
    """
    with import_policy(trust_config=plan.trust_config):
        return DarkroomCLI(plan).context()
