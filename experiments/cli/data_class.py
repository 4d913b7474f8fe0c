"""Selects the data module of a task by the layout of ``--data.root``."""

from collections.abc import Sequence
from pathlib import Path

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
    folder = Path(root).expanduser()
    if not folder.is_dir():
        return settings
    found = arguments.task.data_class(folder)
    names_classes = "classes" in options or any(word.startswith(("--data.classes", "--data.ignore")) for word in words)
    arguments_found = {} if names_classes else found.get("init_args", {})
    return settings | {"data": data | {"class_path": found["class_path"], "init_args": arguments_found | options}}


def _last_value(flags: Sequence[str], options: Sequence[str]) -> str | None:
    """The value of the last of ``options`` among the words of a command line."""
    value = None
    for word, following in zip(flags, [*flags, ""][1:], strict=True):
        option, equals, text = word.partition("=")
        if option in options:
            value = text if equals else following
    return value
