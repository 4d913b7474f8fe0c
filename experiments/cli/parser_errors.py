"""Converts errors of jsonargparse into one line with the key, the value and the nearest valid name."""

import re
from collections.abc import Collection, Iterator
from importlib import import_module

from jsonargparse import ArgumentParser

from experiments.cli.usage import did_you_mean

_KEY = re.compile(r'Parser key "([^"]+)":')
_CLASS = re.compile(r"Problem with given class_path '([^']+)':")
_OPTION = re.compile(r"Option '([^']+)' is not accepted")
_GROUP_OPTION = re.compile(r"Group '([^']+)' does not accept option '([^']+)'")
_UNRECOGNIZED = re.compile(r"[Uu]nrecognized arguments: (\S+)")
_IMPORT = re.compile(r"Importing '([^']+)' is not allowed")
_EXPECTED = re.compile(r"Expected an? ([^\n]+?)(?:\. Got value: ([^\n]*))?$", re.MULTILINE)
_GIVEN = re.compile(r"Given value: (.*)", re.DOTALL)
_NO_SUBCLASS = re.compile(r"Import path (\S+) does not correspond to a subclass of (\w+)")
_REQUIRED = re.compile(r"arguments are required: ([\w., ]+)")


def describe_parser_error(message: str, *, known: Collection[str]) -> str:
    """Returns the error as one line, with the nearest valid name.

    Args:
        message: message of jsonargparse, often of many lines.
        known: all valid keys, dotted.

    >>> known = ["trainer.max_epochs", "seed_everything"]
    >>> describe_parser_error("unrecognized arguments: --trainer.max_epoch", known=known)
    "unknown key 'trainer.max_epoch': did you mean 'trainer.max_epochs'? (--help_all lists every option)"
    """
    keys = _KEY.findall(message)
    where = ".".join(keys)
    if match := _IMPORT.search(message):
        return (
            f"{where}: '{match[1]}' is outside the packages that a configuration may take classes from, since "
            "importing a package runs its code: add --trust-config if you trust it"
        )
    if match := _UNRECOGNIZED.search(message):
        return _unknown_key(match[1].split("=")[0].lstrip("-"), known)
    if match := _GROUP_OPTION.search(message):
        return _unknown_key(f"{match[1]}.{match[2]}", known)
    if match := _OPTION.search(message):
        return _unknown_argument(where, match[1], _CLASS.findall(message[: match.start()]), known)
    if match := _NO_SUBCLASS.search(message):
        return f"{where}: '{match[1]}' is not a subclass of {match[2]}"
    if match := _REQUIRED.search(message):
        return f"{where or 'the configuration'}: {match[1]} must be given"
    if match := re.search(r"Expected a dot import path string: (\S+)", message):
        return f"{where}: there is no class '{match[1]}': write its whole name, like models.UNet"
    if wanted := list(_wanted(message)):
        given = _GIVEN.search(message)
        value = given[1] if given else next((got for _, got in _EXPECTED.findall(message) if got), "")
        return f"{where}: expected {' or '.join(wanted)}, not {_short(value)}"
    return " ".join(message.split())


def _unknown_key(key: str, known: Collection[str]) -> str:
    return f"unknown key '{key}'{did_you_mean(key, known)} (--help_all lists every option)"


def _unknown_argument(where: str, name: str, classes: list[str], known: Collection[str]) -> str:
    """Reports ``name`` as an unknown argument of the class at ``where``, or as an unknown key without a class."""
    arguments = _arguments_of(classes[-1]) if classes else []
    if not arguments:
        return _unknown_key(f"{where}.{name}" if where else name, known)
    there_are = f" {classes[-1].rpartition('.')[2]} has: {', '.join(arguments)}"
    return f"unknown key '{where}.{name}'{did_you_mean(name, arguments)}{there_are}"


def _arguments_of(class_path: str) -> list[str]:
    """Names the constructor's arguments, forwarded ones too; jsonargparse has imported the class by now."""
    module, _, name = class_path.rpartition(".")
    try:
        return list(ArgumentParser().add_class_arguments(getattr(import_module(module), name), fail_untyped=False))
    except (ImportError, AttributeError, ValueError):
        return []


def _wanted(message: str) -> Iterator[str]:
    for wanted, _ in dict.fromkeys(_EXPECTED.findall(message)):
        yield re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1", wanted).replace("NoneType", "null")


def _short(value: str) -> str:
    line = " ".join(value.split())
    return f"'{line[:77]}...'" if len(line) > 80 else f"'{line}'"
