"""Selects the data module of a task by the layout of ``--data.root``."""

import re
from collections.abc import Sequence
from pathlib import Path

from datamodules.io.home_folder import expand_home
from experiments.cli.arguments import Arguments
from experiments.cli.settings import Settings, read_settings


def select_data_class(arguments: Arguments, settings: Settings) -> Settings:
    """Replaces the recipe's data module by the one for the layout of ``--data.root``.

    The data module stays if the user names one, or if the recipe itself names the folders of its data.
    """
    data = settings.get("data")
    if not isinstance(data, dict):
        return settings  # written as the name of a class
    words = [word.partition("=")[0] for word in arguments.flags]
    chosen = [read_settings(path).get("data") for path in arguments.configs]
    named = {"--data", "--data.class_path"} & set(words) or any("class_path" in (one or {}) for one in chosen)
    options = data.get("init_args", {})
    root = _last_value(arguments.flags, ("--data.root", "--data.init_args.root")) or options.get("root")
    if arguments.task.data_class is None or named or root is None or "image_dir" in options:
        return settings
    folder = expand_home(root)
    if folder.is_dir():
        found = arguments.task.data_class(folder)
    elif _names_shards(folder):
        found = {"class_path": "datamodules.FolderDataModule"}
    else:
        return settings
    names_classes = "classes" in options or any(word.startswith(("--data.classes", "--data.ignore")) for word in words)
    arguments_found = {} if names_classes else found.get("init_args", {})
    return settings | {"data": data | {"class_path": found["class_path"], "init_args": arguments_found | options}}


def _names_shards(root: Path) -> bool:
    """Whether the root is a URL, a tar file or a pattern of them."""
    return root.suffix == ".tar" or re.match(r"[a-z][a-z0-9+.-]+:/", root.as_posix()) is not None


def restart_changed_class(settings: Settings, flags: Sequence[str]) -> Settings:
    """Drops the options of the data module if a flag selects another one, as ``merge_settings`` does for files.

    Otherwise options that both have keep their values, such as Carvana's folders. The data's root is kept.

    >>> data = {"class_path": "datamodules.CarvanaDataModule", "init_args": {"root": "cars", "image_dir": "train"}}
    >>> restart_changed_class({"data": data}, ["--data.class_path=datamodules.FolderDataModule"])
    {'data': {'class_path': 'datamodules.FolderDataModule', 'init_args': {'root': 'cars'}}}
    """
    data, chosen = settings.get("data"), _last_value(flags, ("--data", "--data.class_path"))
    if not isinstance(data, dict) or chosen is None or chosen == data.get("class_path") or not _is_class(chosen):
        return settings
    root = {key: value for key, value in data.get("init_args", {}).items() if key == "root"}
    return settings | {"data": {"class_path": chosen, "init_args": root}}


def _is_class(value: str) -> bool:
    return value.replace(".", "").isidentifier()


def _last_value(flags: Sequence[str], options: Sequence[str]) -> str | None:
    """The value of the last of ``options`` among the words of a command line."""
    value = None
    for word, following in zip(flags, [*flags, ""][1:], strict=True):
        option, equals, text = word.partition("=")
        if option in options:
            value = text if equals else following
    return value
