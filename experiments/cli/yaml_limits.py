"""Limits on settings. Of YAML, size, depth and number of values are counted from its events before anything is built.

An alias (``*name``) repeats a value. Nested ten times over ten aliases, one kilobyte stands for 10^10 values.
"""

import json
import re
from typing import Any

import yaml
from jsonargparse import _loaders_dumpers

from experiments.cli.usage import UsageError
from models.weights.limits import values_fault

#: Characters of a document, values in it with aliases expanded, and levels of nesting.
MAX_CHARACTERS, MAX_VALUES, MAX_DEPTH = 1_000_000, 20_000, 64
#: Digits of a whole number; Python refuses to read or print more than 4300, in any later place.
MAX_DIGITS = 64
_WHOLE_NUMBER = re.compile(r"[-+]?(0x[0-9a-fA-F_]+|[0-9][0-9_:]*)")


def yaml_fault(text: str) -> str | None:
    """Describes why a YAML document is too large, or returns ``None``; syntax errors are left to the loader.

    >>> yaml_fault("a: &x [1, 2]")
    >>> yaml_fault("lr: " + "9" * 100)
    'it has a number of 100 digits'
    >>> yaml_fault("&a [*a]")
    'it contains itself (alias a)'
    >>> yaml_fault("[" * 100 + "]" * 100)
    'it is nested more than 64 levels deep'
    """
    if len(text) > MAX_CHARACTERS:
        return f"it has {len(text)} characters, more than {MAX_CHARACTERS}"
    anchors: dict[str, tuple[int, int]] = {}  # values and depth by name
    open_nodes: list[tuple[str | None, int, int]] = [(None, 0, 0)]  # anchor, values and depth so far

    def add(values: int, depth: int) -> None:
        anchor, count, deepest = open_nodes[-1]
        open_nodes[-1] = (anchor, count + values, max(deepest, depth))

    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    inside = any(anchor == event.anchor for anchor, *_ in open_nodes)
                    return f"it contains itself (alias {event.anchor})" if inside else None
                add(*anchors[event.anchor])
            elif isinstance(event, yaml.ScalarEvent):
                # Without quotes; the style is None or "", by the parser.
                if len(event.value) > MAX_DIGITS and not event.style and _WHOLE_NUMBER.fullmatch(event.value):
                    return f"it has a number of {len(event.value)} digits"
                if event.anchor is not None:
                    anchors[event.anchor] = (1, 0)
                add(1, 0)
            elif isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, 1, 0))
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, values, depth = open_nodes.pop()
                if anchor is not None:
                    anchors[anchor] = (values, depth + 1)
                add(values, depth + 1)
            if open_nodes[-1][1] > MAX_VALUES:
                return f"it expands to more than {MAX_VALUES} values"
            if len(open_nodes) - 1 + open_nodes[-1][2] > MAX_DEPTH:
                return f"it is nested more than {MAX_DEPTH} levels deep"
    except yaml.YAMLError:
        return None
    return None


def record_fault(record: object) -> str | None:
    """Describes why settings stored in a checkpoint are too large, or not plain values, or returns ``None``."""
    if fault := values_fault(record, max_values=MAX_VALUES, max_depth=MAX_DEPTH):
        return fault
    try:
        json.dumps(record)
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def limit_yaml() -> None:
    """Applies the limits to all YAML that jsonargparse reads: files, options, and strings inside them.

    jsonargparse has no setting for this, and its public ``set_loader`` does not reach the strings inside values; so the
    class of its loader is extended.

    Raises:
        UsageError: later, from the loader, for a document above the limits.
    """
    internals: Any = _loaders_dumpers
    loader = internals.get_yaml_default_loader()
    if not issubclass(loader, _LimitedYaml):
        internals.yaml_default_loader = type("LimitedLoader", (_LimitedYaml, loader), {})


class _LimitedYaml:
    def __init__(self, stream: Any) -> None:
        if fault := yaml_fault(stream if isinstance(stream, str) else ""):
            raise UsageError(f"{' '.join(stream[:60].split())!r}... is not read as YAML: {fault}")
        super().__init__(stream)  # type: ignore[call-arg] # the loader is the other base class

    def get_single_data(self) -> Any:
        """Converts errors of impossible values, such as ``!!int x`` and dates like 2023-13-45, into YAML errors."""
        try:
            return super().get_single_data()  # type: ignore[misc] # of the loader too
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), None) from error
