"""Append-only files of JSON lines that survive the end of the process at any point."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from datamodules.io.atomic_file import atomic_file

Record = dict[str, Any]


class Journal:
    """Records in a file, one JSON object per line; each is on the disk when ``append`` returns.

    A process that is killed while it appends leaves an incomplete last line. It is not read, and the next ``append``
    removes it.

    Args:
        path: the file. It and its folder are created by the first ``append``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Record]:
        """Returns all complete records; empty if there is no file."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        records: list[Record] = []
        for line in content[: content.rfind(b"\n") + 1].splitlines():
            with suppress(ValueError):  # a block of zeros, as some file systems leave after a power cut
                record = json.loads(line)
                if isinstance(record, dict):
                    records.append(record)
        return records

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes a record and flushes it to the disk.

        Raises:
            OSError: if it cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            _remove_incomplete_line(file.fileno())
            file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())

    def replace(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Replaces the whole file by ``records``."""
        with atomic_file(self.path) as file:
            file.writelines(_line(record) for record in records)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _remove_incomplete_line(file: int) -> None:
    end = os.lseek(file, 0, os.SEEK_END)
    position = end
    while position > 0:
        start = max(0, position - 65536)
        os.lseek(file, start, os.SEEK_SET)
        found = os.read(file, position - start).rfind(b"\n")
        if found >= 0:
            position = start + found + 1
            break
        position = start
    if position < end:
        os.ftruncate(file, position)
    os.lseek(file, 0, os.SEEK_END)
