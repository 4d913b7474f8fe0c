"""Short names of Darkroom's public classes: ``FolderDataModule`` for ``datamodules.FolderDataModule``."""

import json
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import yaml
from jsonargparse import get_loader

from experiments.cli.usage import UsageError

PACKAGES = ("datamodules", "lightning_modules", "models", "callbacks")


@cache
def public_classes() -> dict[str, str]:
    """Returns the import path of every public class by its name; the classes themselves are not imported."""
    names = ((package, name) for package in PACKAGES for name in dir(import_module(package)))
    return {name: f"{package}.{name}" for package, name in names if name[:1].isupper()}


def full_name(name: str) -> str:
    """Returns the import path of a public class that is named without its package or by its file.

    Names of other classes are returned as they are.

    >>> full_name("FolderDataModule"), full_name("datamodules.segmentation.folder.FolderDataModule")
    ('datamodules.FolderDataModule', 'datamodules.FolderDataModule')
    >>> full_name("EarlyStopping"), full_name("elsewhere.FolderDataModule")
    ('EarlyStopping', 'elsewhere.FolderDataModule')
    """
    package, _, last = name.rpartition(".")
    known = public_classes().get(last)
    return known if known and (not package or package.split(".")[0] in PACKAGES) else name


def with_full_names(settings: Any) -> Any:
    """Returns settings in which every ``class_path`` is an import path, and no ``init_args`` is null.

    Raises:
        UsageError: for a ``class_path`` that is no name, or ``init_args`` that are no mapping.
    """
    if isinstance(settings, list):
        return [with_full_names(item) for item in settings]
    if not isinstance(settings, dict):
        return settings
    named = {}
    for key, value in settings.items():
        if key == "class_path":
            if not isinstance(value, str):
                raise UsageError(f"class_path: expected the name of a class, like models.UNet, not {str(value)[:60]!r}")
            named[key] = full_name(value)
        elif key != "init_args" or isinstance(value, dict):
            named[key] = with_full_names(value)
        elif value is not None:
            raise UsageError(f"init_args: expected arguments by name, like {{root: images}}, not {str(value)[:60]!r}")
    return named


def expand_class_options(flags: Sequence[str]) -> list[str]:
    """Writes out class names in options, and puts the options that select data and networks first.

    jsonargparse checks ``--data.classes`` against the class that is selected so far, so the order would matter.

    >>> expand_class_options(["--data.classes", "[dog]", "--data", "FolderDataModule"])
    ['--data=datamodules.FolderDataModule', '--data.classes', '[dog]']
    >>> expand_class_options(["--trainer.callbacks+=EarlyStopping", "--model.threshold", "0.4"])
    ['--trainer.callbacks+=EarlyStopping', '--model.threshold', '0.4']
    """
    first: list[str] = []
    rest: list[str] = []
    words = iter(flags)
    for word in words:
        option, equals, value = word.partition("=")
        if not option.startswith(("--data", "--model", "--trainer")):
            rest.append(word)
            continue
        if not equals:
            following = next(words, None)
            if following is None:
                rest.append(word)
                continue
            value = following
        expanded = _expand(value)
        selects = option == "--data" or option.startswith("--model.") or option.endswith(".class_path")
        if expanded != value or option.endswith(".class_path"):
            (first if selects and not option.startswith("--trainer") else rest).append(f"{option}={expanded}")
        else:
            rest += [word] if equals else [word, value]
    return [*first, *rest]


def _expand(value: str) -> str:
    if "class_path" not in value:
        return full_name(value) if value.replace(".", "").isidentifier() else value
    try:
        settings = get_loader("yaml")(value)
    except yaml.YAMLError:
        return value  # the parser refuses it, with the option's name
    return json.dumps(with_full_names(settings)) if isinstance(settings, dict | list) else value
