"""Builds a trained module from a checkpoint alone, without data, trainer and configuration files."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, Namespace

import lightning_modules
import models
from callbacks.errors import CheckpointError
from experiments.cli.log_filter import filter_logs
from experiments.cli.settings import disable_pretrained
from experiments.cli.trust import check_config, import_policy
from experiments.cli.yaml_limits import limit_yaml
from experiments.runs.checkpoint import LoadedCheckpoint, load_checkpoint
from experiments.runs.checkpoint_match import load_weights
from experiments.runs.folder import relative_to_here
from experiments.tasks.table import TASKS
from lightning_modules.base import ImageTask

Module = TypeVar("Module", bound=ImageTask)


def trained_module(task: str, checkpoint: Path, kind: type[Module]) -> Module:
    """Builds the module of a checkpoint, its weights in it, in eval mode.

    Args:
        task: ``segment``, ``sr`` or ``style``.
        checkpoint: a file of that task.
        kind: the task's module.

    Raises:
        CheckpointError: if the file is of another task, or damaged.
        TypeError: if ``kind`` is not what the task trains.
    """
    module = build_module(load_checkpoint(checkpoint, task))
    if not isinstance(module, kind):
        raise TypeError(f"{type(module).__name__} is no {kind.__name__}")
    return module


def build_module(checkpoint: LoadedCheckpoint, *, trust_config: bool = False) -> ImageTask:
    """Builds the module that a checkpoint's record describes, loads its weights and sets its stage.

    Args:
        checkpoint: the checkpoint.
        trust_config: whether the record may name classes of any package, whose code then runs.

    Returns:
        The module in eval mode, on the CPU.

    Raises:
        CheckpointError: if the record names a class that is not allowed or does not exist, or arguments or weights
            that do not fit it.
    """
    shown = relative_to_here(checkpoint.path)
    task = TASKS.get(str(checkpoint.record["task"]))
    if task is None:
        raise CheckpointError(
            f"{relative_to_here(checkpoint.path)} is of the unknown task '{checkpoint.record['task']}'"
        )
    spec = task.load()
    settings: dict[str, Any] = deepcopy(checkpoint.record["model"])
    for path in _class_paths(settings):
        if not trust_config and not is_public_class(path):
            raise CheckpointError(
                f"{shown} names the class {path}, which is none of Darkroom's: it is loaded "
                "only if you trust its code (trust_config=True)"
            )
    for link in spec.links:
        if (value := checkpoint.record.get(link.recorded)) is not None:
            _set(settings, link.target, value, link.compute)
    limit_yaml()
    with filter_logs(), _as_checkpoint_error(checkpoint.path), import_policy(trust_config=trust_config):
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(spec.module, "model", fail_untyped=False)
        config = parser.parse_object({"model": settings})
        if not trust_config:
            check_config(config)
        disable_pretrained(config.model)  # the weights come from the checkpoint
        built: Namespace = parser.instantiate(config)
        module: ImageTask = built.model
        module.set_stage(checkpoint.stage)
    load_weights(module, checkpoint)
    return module.eval()


def is_public_class(path: str) -> bool:
    """Whether ``path`` names a class that ``models`` or ``lightning_modules`` exports.

    >>> is_public_class("models.UNet"), is_public_class("torch.nn.Transformer"), is_public_class("models.os")
    (True, False, False)
    """
    package, _, name = path.partition(".")
    public = {"models": dir(models), "lightning_modules": dir(lightning_modules)}
    return name in public.get(package, [])


def _class_paths(settings: Any) -> Iterator[str]:
    if isinstance(settings, dict):
        if "class_path" in settings:
            yield str(settings["class_path"])
        for value in settings.values():
            yield from _class_paths(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _class_paths(value)


def _set(settings: Any, target: str, value: Any, compute: Any) -> None:
    """Sets ``model.a.b`` in the settings of the model; arguments that a class does not have are left out."""
    *groups, last = target.removeprefix("model.").split(".")
    for group in groups:
        if not isinstance(settings, dict):  # a class given by its path alone
            return
        if group == "init_args":
            package, _, name = str(settings["class_path"]).rpartition(".")
            if last not in signature(getattr(import_module(package), name)).parameters:
                return
            settings.setdefault(group, {})
        settings = settings[group]
    settings[last] = value if compute is None else compute(value)


@contextmanager
def _as_checkpoint_error(path: Path) -> Iterator[None]:
    """Turns what the parser or a constructor raises for a record into one line that names the file."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{relative_to_here(path)}: its network cannot be built: {reason}") from error
