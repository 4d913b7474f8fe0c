"""What several runs differ in: settings and training time, as tables of text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

#: Settings that name places and how a run is shown, not what it trains.
_IGNORED = ("trainer.logger", "trainer.default_root_dir", "trainer.enable_progress_bar", "data.init_args.cache_dir")


def differing_settings(settings: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Returns a row for each setting that is not the same in all runs: its dotted key, then the values.

    >>> differing_settings([{"lr": 0.1, "net": {"width": 8}}, {"lr": 0.1, "net": {"width": 16, "depth": 2}}])
    [['net.depth', '-', '2'], ['net.width', '8', '16']]
    """
    flat = [dict(_leaves(one, "")) for one in settings]
    keys = sorted({key for one in flat for key in one if not key.startswith(_IGNORED)})
    rows = [[key, *(one.get(key, "-") for one in flat)] for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1]


def training_seconds(folder: Path) -> float | None:
    """Duration of the training by the TensorBoard logs of a run, without the pauses between them.

    Returns:
        Seconds, or ``None`` if the run has no such log.
    """
    total, found = 0.0, False
    for log in folder.glob("events.out.tfevents.*"):
        times = [event.wall_time for event in EventFileLoader(str(log)).Load()]
        if times:
            total, found = total + max(times) - min(times), True
    return total if found else None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Formats rows in columns, the first to the left and the others to the right.

    >>> table(["", "a", "b"], [["dice", "0.9", "0.95"]])
    ['        a     b', 'dice  0.9  0.95']
    """
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(
            [f"{row[0]:{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (head, *rows)
    ]


def _leaves(value: Any, key: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [leaf for name, child in value.items() for leaf in _leaves(child, f"{key}.{name}".lstrip("."))]
    if isinstance(value, list) and any(isinstance(child, Mapping) for child in value):
        return [leaf for number, child in enumerate(value) for leaf in _leaves(child, f"{key}.{number}")]
    return [(key, str(value))]
