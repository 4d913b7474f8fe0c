"""Builds what the record of a checkpoint describes, without data, trainer and configuration files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, Namespace
from torch import nn

import lightning_modules
import models
from callbacks.errors import CheckpointError
from experiments.cli.log_filter import filter_logs
from experiments.cli.settings import disable_pretrained
from experiments.cli.trust import check_config, import_policy, own_classes
from experiments.cli.yaml_limits import limit_yaml
from experiments.runs.checkpoint import LoadedCheckpoint
from experiments.runs.folder import relative_to_here
from experiments.tasks.links import Link

Built = TypeVar("Built", bound=nn.Module)


def build_from_record(
    kind: type[Built],
    settings: Mapping[str, Any],
    checkpoint: LoadedCheckpoint,
    *,
    links: Sequence[Link],
    trust_config: bool,
) -> Built:
    """Builds an object by the parser of the command line, with random weights.

    Args:
        kind: its class.
        settings: its arguments, a part of the record's ``model``.
        checkpoint: the checkpoint.
        links: recorded values that are copied to the arguments.
        trust_config: whether the record may name classes of any package, whose code then runs.

    Raises:
        CheckpointError: if the record names a class that is not allowed or does not exist, or arguments that do not
            fit it.
    """
    arguments: dict[str, Any] = deepcopy(dict(settings))
    for path in _class_paths(arguments):
        if not trust_config and not is_public_class(path):
            raise CheckpointError(
                f"{relative_to_here(checkpoint.path)} names the class {path}, which is none of Darkroom's: it is "
                "loaded only if you trust its code (trust_config=True)"
            )
    for link in links:
        if (value := checkpoint.record.get(link.recorded)) is not None:
            _set(arguments, link.target, value, link.compute)
    limit_yaml()
    policy = import_policy(trust_config=trust_config, classes=own_classes)
    with filter_logs(), as_checkpoint_error(checkpoint.path), policy:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(kind, "model", fail_untyped=False)
        config = parser.parse_object({"model": arguments})
        if not trust_config:
            check_config(config, classes=own_classes)
        disable_pretrained(config.model)  # the weights come from the checkpoint
        built: Namespace = parser.instantiate(config)
        result: Built = built.model
    return result


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
        if not isinstance(settings, dict) or (group != "init_args" and group not in settings):
            return  # a class given by its path alone, or an argument that is not built
        if group == "init_args":
            package, _, name = str(settings["class_path"]).rpartition(".")
            if last not in signature(getattr(import_module(package), name)).parameters:
                return
            settings.setdefault(group, {})
        settings = settings[group]
    settings[last] = value if compute is None else compute(value)


@contextmanager
def as_checkpoint_error(path: Path) -> Iterator[None]:
    """Turns what the parser or a constructor raises for a record into one line that names the file."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{relative_to_here(path)}: its network cannot be built: {reason}") from error
