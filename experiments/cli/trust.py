"""Which classes a configuration or checkpoint may name: importing and calling them runs their code.

Without ``--trust-config``, every class is in an exact list, no function is found by its name, and a class specification
where any value is allowed stays a plain mapping.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonargparse import Namespace, _common, set_parsing_settings

from experiments.cli.usage import UsageError

#: Packages whose public classes (``__init__.pyi``) are allowed; those of ``callbacks`` for the trainer only.
PACKAGES = ("callbacks", "datamodules", "lightning_modules", "models")
#: Classes of Lightning that are allowed for the trainer. All their arguments are plain values.
LIGHTNING_CLASSES = {
    "lightning.pytorch.callbacks": (
        "DeviceStatsMonitor",
        "EarlyStopping",
        "GradientAccumulationScheduler",
        "LearningRateMonitor",
        "ModelCheckpoint",
        "ModelSummary",
        "RichModelSummary",
        "RichProgressBar",
        "TQDMProgressBar",
        "Timer",
    ),
    "lightning.pytorch.loggers": ("CSVLogger", "MLFlowLogger", "TensorBoardLogger", "WandbLogger"),
    "lightning.pytorch.profilers": ("AdvancedProfiler", "PassThroughProfiler", "PyTorchProfiler", "SimpleProfiler"),
    "lightning.pytorch.strategies": ("DDPStrategy", "SingleDeviceStrategy"),
}
_WAY_OUT = "add --trust-config if you trust it"


@cache
def own_classes() -> dict[str, str]:
    """Returns the classes of Darkroom: the public path and the path of the definition, each with the public path."""
    paths: dict[str, str] = {}
    for package in PACKAGES:
        for name, module in _exports(package):
            paths |= dict.fromkeys((f"{package}.{name}", f"{module}.{name}"), f"{package}.{name}")
    return paths


@cache
def allowed_classes() -> dict[str, str]:
    """Returns all allowed classes, those of Lightning too, which it imports; the form is that of ``own_classes``."""
    paths = dict(own_classes())
    for module, names in LIGHTNING_CLASSES.items():
        for name in names:
            found = getattr(import_module(module), name)
            paths |= dict.fromkeys((f"{module}.{name}", f"{found.__module__}.{name}"), f"{module}.{name}")
    return paths


@contextmanager
def import_policy(*, trust_config: bool, classes: Callable[[], dict[str, str]] = allowed_classes) -> Iterator[None]:
    """Makes jsonargparse refuse all other paths before it imports them, inside a ``with`` block.

    Args:
        trust_config: allow all paths; nothing is changed.
        classes: returns the allowed classes; a checkpoint may name those of Darkroom only.
    """
    if trust_config:
        yield
        return
    settings: dict[str, Any] = _common.parsing_settings  # there is no public way to restore them
    before = dict(settings)
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=list(classes()),
        instantiate_subclass_spec_in_any=False,
        validate_subclass_spec_in_any=True,
    )
    try:
        yield
    finally:
        settings.update(before)


def check_config(config: Namespace, *, classes: Callable[[], dict[str, str]] = allowed_classes) -> None:
    """Refuses what the list of paths lets pass, before any class is instantiated.

    These are members of allowed classes (``models.UNet.forward``), functions and types found by name, callbacks and
    classes of Lightning outside of the trainer, and values for ``**kwargs`` of a class of Lightning that are no
    scalars.

    Args:
        config: parsed settings.
        classes: as for ``import_policy``.

    Raises:
        UsageError: naming key, class and way out.
    """
    for key, value in _walk(config, ""):
        if callable(value) or inspect.ismodule(value):
            name = getattr(value, "__qualname__", value)
            raise UsageError(f"{key}: '{name}' is code found by its name: {_WAY_OUT}")
        if not isinstance(value, dict) or "class_path" not in value:
            continue
        path = str(value["class_path"])
        if any(path.startswith(f"{allowed}.") for allowed in classes()):
            raise UsageError(f"{key}: '{path}' is a member of a class, not a class: {_WAY_OUT}")
        if path.startswith(("lightning.", "callbacks.")) and not key.startswith("trainer."):
            raise UsageError(f"{key}: '{path}' is allowed for the trainer only: {_WAY_OUT}")
        if path.startswith("lightning."):
            _check_arguments(key, path, value)


def _check_arguments(key: str, path: str, spec: dict[str, Any]) -> None:
    module, _, name = path.rpartition(".")
    declared = inspect.signature(getattr(import_module(module), name)).parameters
    for argument, value in {**(spec.get("init_args") or {}), **(spec.get("dict_kwargs") or {})}.items():
        if argument not in declared and not isinstance(value, None | bool | int | float | str):
            raise UsageError(f"{key}.{argument}: '{path}' passes it on unchecked, so it must be one value: {_WAY_OUT}")


def _walk(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yields all values below ``value`` with their dotted keys, mappings as dictionaries."""
    if isinstance(value, Namespace):
        value = vars(value)
    yield key, value
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _walk(child, f"{key}.{name}".lstrip(".") if name != "init_args" else key)
    elif isinstance(value, list | tuple | set):
        for child in value:
            yield from _walk(child, key)


def _exports(package: str) -> Iterator[tuple[str, str]]:
    """Yields the name and the defining module of every class in ``__init__.pyi``, without importing them."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"package {package} is not installed")
    stub = Path(spec.origin).with_suffix(".pyi")
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.name, f"{package}.{node.module}") for alias in node.names)
