"""Converts errors of jsonargparse into one line with the key, the value and the nearest valid name."""

import re
from argparse import ArgumentError
from collections.abc import Collection, Iterator
from importlib import import_module
from traceback import walk_tb

from jsonargparse import ArgumentParser

from experiments.cli.class_names import public_classes
from experiments.cli.trust import LIGHTNING_CLASSES
from experiments.cli.usage import did_you_mean, nearest

# jsonargparse keeps key, option and class of an error in the text of its exceptions only.
_KEY = re.compile(r'Parser key "([^"]+)":')
_QUOTED = re.compile(r"'([^']+)'")
# Options that all classes of a section have, and that the parser knows only once it knows the class.
_OF_SELECTED_CLASSES = ("data.root", "data.classes", "data.num_workers", "data.cache_dir", "model.net.encoder")
_BOOLEAN_HINT = " (YAML reads yes, no, on and off as true and false: put quotes around these words)"
_CLASS = re.compile(r"^Problem with given class_path '([^']+)'")
_NO_SUBCLASS = re.compile(r"Not a valid subclass of (\w+)\. Got value: ([^\n]*)")
_NO_FILE = re.compile(r"Unable to load config '([^']*)'")
_EXPECTED = re.compile(r"Expected an? ([^\n]+?)(?:\. Got value: ([^\n]*))?$", re.MULTILINE)


def describe_parser_error(error: ArgumentError, *, known: Collection[str]) -> str:
    """Returns the error as one line, with the nearest valid name.

    Args:
        error: raised by the parser; its causes lead to the first candidate type that refused the value.
        known: all valid keys, dotted.

    >>> known = ["trainer.max_epochs", "seed_everything"]
    >>> describe_parser_error(ArgumentError(None, "Unrecognized arguments: --trainer.max_epoch"), known=known)
    "unknown key 'trainer.max_epoch': did you mean 'trainer.max_epochs'? (--help_all lists every option)"
    """
    message, causes = str(error), list(chain_of(error))
    key, root = ".".join(_KEY.findall(message)), causes[-1]
    reason = str(root)
    quoted = _QUOTED.findall(reason)
    if isinstance(root, ImportError) and isinstance(root, ValueError):  # jsonargparse's ImportDenied
        place = f"{key}: " if key else ""
        return (
            f"{place}'{quoted[0]}' is not one of the classes that a configuration may name, since naming a class runs "
            "its code: add --trust-config if you trust it"
        )
    if reason.lower().startswith("unrecognized arguments"):
        return _unknown_key(reason.split()[2].split("=")[0].lstrip("-"), known)
    if isinstance(root, KeyError) and len(quoted) == 2:  # a group and the option that it does not have
        return _unknown_key(".".join(quoted), known)
    if isinstance(root, KeyError):
        classes = [match[1] for cause in causes if (match := _CLASS.match(str(cause)))]
        return _unknown_argument(key, quoted[0], classes, known)
    if reason.startswith("Import path"):
        words = reason.split()
        return f"{key}: '{words[2]}' is not a subclass of {words[-1]}"
    if "arguments are required" in reason:
        return f"{key or 'the configuration'}: {_after_colon(reason)} must be given"
    if reason.startswith("Expected a dot import path string"):
        name = _after_colon(reason)
        known_classes = [*public_classes(), *(name for names in LIGHTNING_CLASSES.values() for name in names)]
        lowered = {known.lower(): known for known in known_classes}
        near = nearest(name.lower(), lowered)
        hint = f"did you mean {lowered[near]}?" if near else "write its whole name, like models.UNet"
        return f"{key}: there is no class '{name}': {hint}"
    if match := _NO_FILE.search(message):
        return f"{key}: expected settings in braces, or an existing YAML file, not {_shorten(match[1])}"
    if match := _NO_SUBCLASS.search(message):
        return f"{key}: expected a class of the kind {match[1]} (class_path and init_args), not {_shorten(match[2])}"
    if wanted := _expected_types(message):
        value = _given_value(message, reason)
        hint = _BOOLEAN_HINT if "str" in wanted and value in ("True", "False") else ""
        return f"{key}: expected {' or '.join(wanted)}, not {_shorten(value)}{hint}"
    return " ".join(message.split())


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yields ``error`` and its causes down to the first one that jsonargparse did not raise itself.

    jsonargparse wraps what a class or type refused; of a union, the cause is the error of the first type.
    """
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ if raised_in(current, "jsonargparse") else None


def raised_in(error: BaseException, package: str) -> bool:
    """Whether the innermost frame of the error's traceback is in ``package``."""
    frames = list(walk_tb(error.__traceback__))
    return bool(frames) and str(frames[-1][0].f_globals.get("__name__", "")).startswith(package)


def _unknown_key(key: str, known: Collection[str]) -> str:
    same = [name for name in (*known, *_OF_SELECTED_CLASSES) if name.rpartition(".")[2] == key]
    return f"unknown key '{key}'{did_you_mean(key, same or known)} (--help_all lists every option)"


def _unknown_argument(where: str, name: str, classes: list[str], known: Collection[str]) -> str:
    """Reports ``name`` as an unknown argument of the class at ``where``, or as an unknown key without a class."""
    arguments = _arguments_of(classes[-1]) if classes else []
    if not arguments:
        return _unknown_key(f"{where}.{name}" if where else name, known)
    there_are = f" {classes[-1].rpartition('.')[2]} has: {', '.join(arguments)}"
    return f"unknown key '{where}.{name}'{did_you_mean(name, arguments)}{there_are}"


def _arguments_of(class_path: str) -> list[str]:
    """Returns the names of the constructor's arguments, forwarded ones included; the class is imported already."""
    module, _, name = class_path.rpartition(".")
    try:
        return list(ArgumentParser().add_class_arguments(getattr(import_module(module), name), fail_untyped=False))
    except (ImportError, AttributeError, ValueError):
        return []


def _expected_types(message: str) -> list[str]:
    types = (re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1", expected) for expected, _ in _EXPECTED.findall(message))
    names = (
        re.sub(r"(?:typing\.)?Literal\[([^\]]*)\]", lambda choices: " or ".join(choices[1].split(", ")), name)
        for name in types
    )
    return list(dict.fromkeys(name.replace("NoneType", "null") for name in names))


def _given_value(message: str, reason: str) -> str:
    """Returns the value that the innermost type refused, which may be an item of the value of the key."""
    values = [value for _, value in (*_EXPECTED.findall(reason), *_EXPECTED.findall(message)) if value]
    return values[0] if values else message.rpartition("Given value: ")[2]


def _after_colon(text: str) -> str:
    return text.partition(": ")[2].strip()


def _shorten(value: str) -> str:
    line = " ".join(value.split())
    return f"'{line[:77]}...'" if len(line) > 80 else f"'{line}'"
