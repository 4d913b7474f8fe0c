"""Stages on the command line: ``--stages.0.epochs 2``, ``--stages.all.batch_size 8``.

jsonargparse has no option for one field of one item of a list, and a list given anew inherits, item by item, what the
list below it said (a stage without ``frozen`` over a frozen one stays frozen). So stages are put together here and
handed on once, complete.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from jsonargparse import get_loader

from datamodules.stage import Stage
from experiments.cli.usage import UsageError, unknown

_FIELD = re.compile(r"--stages\.(?P<which>\d+|all)\.(?P<field>\w+)")
_FIELDS = [field.name for field in fields(Stage)]


@dataclass(frozen=True)
class StageEdit:
    """One field of one stage.

    Args:
        which: number of the stage from 0, ``None`` for all of them.
        field: name of the field.
        value: what it shall be.
    """

    which: int | None
    field: str
    value: Any


def take_stage_flags(flags: Sequence[str]) -> tuple[list[dict[str, Any]] | None, list[StageEdit], list[str]]:
    """Takes the options about stages out of the command line.

    Returns:
        The stages if given as a whole (``--stages '[...]'``), the edits of single fields, and all other words.

    Raises:
        UsageError: for an option about stages that does not exist or lacks its value.
    """
    whole, edits, rest = None, [], []
    words = iter(flags)
    for word in words:
        option, equals, value = word.partition("=")
        if option != "--stages" and not option.startswith("--stages."):
            rest.append(word)
            continue
        if not equals and (value := next(words, "")) == "":
            raise UsageError(f"{option}: expected one argument")
        if option == "--stages":
            whole = _list_of_stages(value)
        else:
            edits.append(_edit(option, value))
    return whole, edits, rest


def edit_stages(stages: Any, edits: Sequence[StageEdit]) -> Any:
    """Gives the stages as the edits want them; ``stages`` itself is not changed.

    Raises:
        UsageError: if an edit names a stage that is not there.
    """
    if not edits:
        return stages
    edited = [dict(stage) for stage in _list_of_stages(stages)]
    for edit in edits:
        if edit.which is not None and edit.which >= len(edited):
            names = ", ".join(f"{number} ({stage.get('name')})" for number, stage in enumerate(edited))
            raise UsageError(f"--stages.{edit.which}.{edit.field}: there is no stage {edit.which}. There are: {names}")
        for stage in edited if edit.which is None else [edited[edit.which]]:
            stage[edit.field] = edit.value
    return edited


def _edit(option: str, value: str) -> StageEdit:
    match = _FIELD.fullmatch(option)
    if match is None:
        raise UsageError(f"unknown option '{option}': write --stages.0.epochs 2, or --stages.all.batch_size 8")
    if match["field"] not in _FIELDS:
        raise unknown("stage field", match["field"], _FIELDS)
    return StageEdit(
        None if match["which"] == "all" else int(match["which"]), match["field"], get_loader("yaml")(value)
    )


def _list_of_stages(value: Any) -> list[dict[str, Any]]:
    stages = get_loader("yaml")(value) if isinstance(value, str) else value
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise UsageError("stages: expected a list like [{name: a, size: 128, batch_size: 8, epochs: 4, lr: 1e-2}]")
    return stages
