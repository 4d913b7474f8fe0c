"""Settings laid over one another: recipe, checkpoint, the user's files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from experiments.cli.usage import UsageError

Settings = dict[str, Any]


def read_settings(path: Path) -> Settings:
    """Reads a YAML file of settings with jsonargparse's own loader, which runs no tags and knows ``4e-2`` is a number.

    Raises:
        UsageError: if there is no such file, or it is not YAML with keys at its top.
    """
    try:
        settings = get_loader("yaml")(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict):
        raise UsageError(f"{path} holds no settings: expected keys such as trainer, model, data, stages at its top")
    return settings


def plain_values(text: str) -> Settings:
    """Parses a whole configuration written as YAML."""
    settings: Settings = get_loader("yaml")(text)
    return settings


def lay_over(layers: Sequence[Settings]) -> Settings:
    """Lays later settings over earlier ones.

    Groups are merged key by key; lists and values are replaced. A class named anew starts with its own defaults; the
    arguments of a class named before may be given without ``init_args``.

    >>> net = {"class_path": "models.UNet", "init_args": {"encoder": "resnet34", "classes": 1}}
    >>> lay_over([{"net": net}, {"net": {"encoder": "resnet18"}}])
    {'net': {'class_path': 'models.UNet', 'init_args': {'encoder': 'resnet18', 'classes': 1}}}
    >>> lay_over([{"net": net}, {"net": {"class_path": "models.Other"}}])
    {'net': {'class_path': 'models.Other'}}
    """
    result: Settings = {}
    for layer in layers:
        result = _over(result, layer)
    return result


def _over(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    if "class_path" in below:
        if "class_path" in above and above["class_path"] != below["class_path"]:
            return above
        if not above.keys() & {"class_path", "init_args", "dict_kwargs"}:
            above = {"init_args": above}
    return below | {key: _over(below[key], value) if key in below else value for key, value in above.items()}
