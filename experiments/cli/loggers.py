"""Loggers that the user chooses write into the run's folder unless they are given another place."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace, get_loader

from experiments.cli.settings import Settings
from experiments.cli.usage import UsageError

#: Stands for the run's folder in saved settings, so that a run repeated from them logs into its own folder.
RUN_FOLDER = "RUN_FOLDER"

DEFAULTS: dict[str, dict[str, Any]] = {
    "TensorBoardLogger": {"save_dir": RUN_FOLDER, "name": "", "version": "", "default_hp_metric": False},
    "CSVLogger": {"save_dir": RUN_FOLDER},
    "MLFlowLogger": {"save_dir": f"{RUN_FOLDER}/mlruns"},
    "WandbLogger": {"save_dir": RUN_FOLDER},
}


def add_logger_defaults(settings: Mapping[str, Any], flags: Sequence[str]) -> tuple[Settings, list[str]]:
    """Adds the folder to loggers that have none.

    Args:
        settings: settings of files.
        flags: options of the command line.

    Returns:
        Both, with the defaults added.

    >>> add_logger_defaults({}, ["--trainer.logger", "CSVLogger"])
    ({}, ['--trainer.logger', 'CSVLogger', '--trainer.logger.save_dir=RUN_FOLDER'])
    """
    completed: Settings = dict(settings)
    trainer = settings.get("trainer")
    if isinstance(trainer, Mapping) and "logger" in trainer:
        completed["trainer"] = {**trainer, "logger": _complete(trainer["logger"])}
    words: list[str] = []
    expects_value = False
    for word in flags:
        option, equals, value = word.partition("=")
        if expects_value:
            words += _flag_words(word)
        elif equals and option.rstrip("+") in _OPTIONS:
            first, *rest = _flag_words(value)
            words += [f"{option}={first}", *rest]
        else:
            words.append(word)
        expects_value = not expects_value and not equals and option.rstrip("+") in _OPTIONS
    return completed, words


def set_log_folders(trainer: Namespace, folder: Path) -> None:
    """Replaces ``RUN_FOLDER`` in the settings of the loggers, in place.

    MLflow writes into a database: in a folder, each metric is a file of its name, and ``train/loss`` cannot lie beside
    ``train/loss/bce``. Releases since 3.13 refuse folders.

    Raises:
        UsageError: if MLflow is to write into a folder, or a CSV log after 0 steps.
    """
    loggers = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
    for logger in loggers:
        if not isinstance(logger, Namespace) or "init_args" not in logger:
            continue
        given = logger.init_args
        place = given.get("save_dir")
        if isinstance(place, str | Path) and Path(place).parts[:1] == (RUN_FOLDER,):
            own = folder.joinpath(*Path(place).parts[1:])
            given.save_dir = str(own)
            if "tracking_uri" in given and not given.tracking_uri:
                folder.mkdir(parents=True, exist_ok=True)
                given.tracking_uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
                given.artifact_location = given.artifact_location or own.absolute().as_uri()
        if given.get("flush_logs_every_n_steps", 1) < 1:
            raise UsageError("trainer.logger: flush_logs_every_n_steps must be at least 1")
        uri = given.get("tracking_uri")
        if uri and (uri.startswith("file:") or not _SCHEME.match(uri)):
            raise UsageError(
                f"trainer.logger: MLflow cannot write metrics with nested names into a folder ('{uri}'): name a server "
                "or sqlite:///mlflow.db as tracking_uri (or MLFLOW_TRACKING_URI), or none for one in the run's folder"
            )


# A path, which may begin with the letter of a drive, has no scheme; "databricks" is a server of that name.
_SCHEME = re.compile(r"[A-Za-z][\w+.-]+:|databricks$|uc$")
_OPTIONS = ("--trainer.logger", "--trainer.logger.class_path")


def _complete(logger: Any) -> Any:
    """Adds the defaults to the settings of one logger or of several; other values stay as they are."""
    if isinstance(logger, list):
        return [_complete(one) for one in logger]
    if isinstance(logger, str):
        return _complete({"class_path": logger}) if _name(logger) in DEFAULTS else logger
    if isinstance(logger, Mapping) and _name(logger.get("class_path")) in DEFAULTS:
        given = {key: value for key, value in (logger.get("init_args") or {}).items() if value is not None}
        return {**logger, "init_args": DEFAULTS[_name(logger["class_path"])] | given}
    return logger


def _flag_words(value: str) -> list[str]:
    """The value of an option that names a logger, and the flags of its defaults."""
    if value.lstrip().startswith(("{", "[")):
        try:
            return [yaml.safe_dump(_complete(get_loader("yaml")(value)), default_flow_style=True).strip()]
        except yaml.YAMLError:
            return [value]  # the parser refuses it, with the option's name
    return [value, *(f"--trainer.logger.{key}={default}" for key, default in DEFAULTS.get(_name(value), {}).items())]


def _name(class_path: Any) -> str:
    return str(class_path).rpartition(".")[2]
