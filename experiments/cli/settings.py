"""Settings from YAML files and stage options, merged in order: recipe, checkpoint, user files, command line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace, get_loader

from datamodules.stage import Stage
from experiments.cli.class_names import with_full_names
from experiments.cli.usage import UsageError, unknown
from experiments.cli.yaml_limits import MAX_CHARACTERS, yaml_fault

Settings = dict[str, Any]
_STAGE_OPTION = re.compile(r"--stages\.(?P<which>\d+|all)\.(?P<field>\w+)")
_STAGE_FIELDS = [field.name for field in fields(Stage)]


def read_settings(path: Path) -> Settings:
    """Reads a YAML file with jsonargparse's loader, which runs no tags and parses ``4e-2`` as a number.

    Raises:
        UsageError: if the file does not exist, is not a YAML mapping, or is too large.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
        if fault := yaml_fault(text):
            raise UsageError(f"{path} is not read: {fault}")
        settings = get_loader("yaml")(text)
    except FileNotFoundError:
        raise UsageError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict):
        raise UsageError(f"{path} contains no settings: expected top-level keys such as trainer, model, data, stages")
    named: Settings = with_full_names(settings)
    return named


def plain_values(text: str) -> Settings:
    """Parses a complete configuration written as YAML."""
    settings: Settings = get_loader("yaml")(text)
    return settings


def replace_enums(value: Any) -> Any:
    """Replaces members of enumerations of strings by strings, in place where possible, so that YAML can hold them.

    Lightning's ``Timer`` has such a default.
    """
    if isinstance(value, Namespace | dict):
        items = vars(value) if isinstance(value, Namespace) else value
        items.update({key: replace_enums(item) for key, item in items.items()})
    elif isinstance(value, list):
        value[:] = [replace_enums(item) for item in value]
    elif isinstance(value, str) and isinstance(value, Enum):
        return str(value.value)
    return value


def merge_settings(sources: Sequence[Settings]) -> Settings:
    """Merges settings, later ones over earlier ones.

    Mappings are merged key by key; lists and other values are replaced. A changed class starts from its own defaults.
    Arguments of an unchanged class may be given without ``init_args``.

    >>> net = {"class_path": "models.UNet", "init_args": {"encoder": "resnet34", "classes": 1}}
    >>> merge_settings([{"net": net}, {"net": {"encoder": "resnet18"}}])
    {'net': {'class_path': 'models.UNet', 'init_args': {'encoder': 'resnet18', 'classes': 1}}}
    >>> merge_settings([{"net": net}, {"net": {"class_path": "models.Other"}}])
    {'net': {'class_path': 'models.Other'}}
    """
    merged: Settings = {}
    for settings in sources:
        merged = _merge(merged, settings)
    return merged


def _merge(base: Any, override: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(override, dict):
        return override
    if "class_path" in base:
        if "class_path" in override and override["class_path"] != base["class_path"]:
            return override
        if not override.keys() & {"class_path", "init_args", "dict_kwargs"}:
            override = {"init_args": override}
    return base | {key: _merge(base[key], value) if key in base else value for key, value in override.items()}


@dataclass(frozen=True)
class StageOverride:
    """A field of a stage set on the command line: ``--stages.0.epochs 2``, ``--stages.all.batch_size 8``.

    Args:
        index: number of the stage from 0, ``None`` for all stages.
        field: name of the field.
        value: new value.
    """

    index: int | None
    field: str
    value: Any


def split_stage_options(flags: Sequence[str]) -> tuple[list[dict[str, Any]] | None, list[StageOverride], list[str]]:
    """Separates the options about stages from the other flags.

    jsonargparse has no option for a field of a list item, and a list given again inherits fields of the previous list
    item by item (a stage without ``frozen`` over a frozen one stays frozen). The list is therefore completed here.

    Returns:
        The stages if given as a whole (``--stages '[...]'``), the overrides of single fields, and all other flags.

    Raises:
        UsageError: for an option about stages that does not exist or lacks its value.
    """
    stages, overrides, rest = None, [], []
    words = iter(flags)
    for word in words:
        option, equals, value = word.partition("=")
        if option != "--stages" and not option.startswith("--stages."):
            rest.append(word)
            continue
        if not equals and (value := next(words, "")) == "":
            raise UsageError(f"{option}: expected one argument")
        if option == "--stages":
            stages = _parse_stages(value)
        else:
            overrides.append(_parse_override(option, value))
    return stages, overrides, rest


def override_stages(stages: Any, overrides: Sequence[StageOverride]) -> Any:
    """Returns the stages with the overrides applied; ``stages`` itself is not changed.

    Raises:
        UsageError: if ``stages`` is not a list of mappings, or an override names a stage that does not exist.
    """
    result = [dict(stage) for stage in _parse_stages(stages)]
    for override in overrides:
        index = override.index
        if index is not None and index >= len(result):
            names = ", ".join(f"{number} ({stage.get('name')})" for number, stage in enumerate(result))
            raise UsageError(f"--stages.{index}.{override.field}: there is no stage {index}. There are: {names}")
        for stage in result if index is None else [result[index]]:
            stage[override.field] = override.value
    return result


def check_seed(settings: Settings, flags: Sequence[str]) -> None:
    """Checks ``seed_everything``, which all ranks need as the same number.

    Lightning's ``true`` draws another seed on every rank, and ``false`` sets none.

    Raises:
        UsageError: if it is not a number from 0 to 2**32 - 1.
    """
    words = [word for flag in flags for word in flag.split("=", 1)]
    given = [words[index + 1] for index, word in enumerate(words[:-1]) if word == "--seed_everything"]
    seed = _flag_value("--seed_everything", given[-1]) if given else settings.get("seed_everything", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UsageError(
            f"seed_everything: expected a number from 0 to {2**32 - 1}, not {str(seed).lower()}: a run without a known "
            "seed could not be repeated. For another seed each time, write a random number yourself"
        )


def _flag_value(option: str, text: str) -> Any:
    try:
        return get_loader("yaml")(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{option}: {text[:60]!r} cannot be read as YAML: {' '.join(str(error).split())}") from None


def _parse_override(option: str, value: str) -> StageOverride:
    match = _STAGE_OPTION.fullmatch(option)
    if match is None:
        raise UsageError(f"unknown option '{option}': write --stages.0.epochs 2, or --stages.all.batch_size 8")
    if match["field"] not in _STAGE_FIELDS:
        raise unknown("stage field", match["field"], _STAGE_FIELDS)
    index = None if match["which"] == "all" else int(match["which"])
    return StageOverride(index, match["field"], _flag_value(option, value))


def _parse_stages(value: Any) -> list[dict[str, Any]]:
    stages = _flag_value("--stages", value) if isinstance(value, str) else value
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise UsageError("stages: expected a list like [{name: a, size: 128, batch_size: 8, epochs: 4, lr: 1e-2}]")
    return stages


def disable_pretrained(settings: Namespace) -> None:
    """Sets every ``pretrained`` to ``"none"``, in place."""
    for key in list(settings.keys()):
        if key.rpartition(".")[2] == "pretrained":
            settings[key] = "none"
