"""The edits of one image: what each changed, so that all can be undone and redone, also in a later session."""

import base64
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.label.journal import Journal, Record
from experiments.label.label_maps import LabelMap

Rect = tuple[int, int, int, int]  # top, bottom, left, right; bottom and right are not included


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of a label map.

    Args:
        rect: the rectangle that contains all changed pixels.
        before: its labels before the change, compressed.
        after: its labels after the change, compressed.
        state_before: state of the image before the change.
        state_after: state of the image after the change.
        what: the request that made it.
    """

    rect: Rect
    before: bytes
    after: bytes
    state_before: str
    state_after: str
    what: Mapping[str, Any] = field(default_factory=dict)

    def labels_before(self) -> LabelMap:
        """The labels inside ``rect`` before the change."""
        return _unpack(self.before, self.rect)

    def labels_after(self) -> LabelMap:
        """The labels inside ``rect`` after the change."""
        return _unpack(self.after, self.rect)


def make_edit(before: LabelMap, after: LabelMap, *, state_before: str, state_after: str) -> Edit | None:
    """Compares two label maps of the same size; ``None`` if neither labels nor state differ."""
    changed = before != after
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not len(rows):
        if state_before == state_after:
            return None
        rect: Rect = (0, 0, 0, 0)
    else:
        rect = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
    place = part(rect)
    return Edit(
        rect=rect,
        before=zlib.compress(np.ascontiguousarray(before[place]).tobytes(), 1),
        after=zlib.compress(np.ascontiguousarray(after[place]).tobytes(), 1),
        state_before=state_before,
        state_after=state_after,
    )


def part(rect: Rect) -> tuple[slice, slice]:
    """Rows and columns of a rectangle."""
    top, bottom, left, right = rect
    return slice(top, bottom), slice(left, right)


def checksum(labels: LabelMap) -> int:
    """CRC-32 of a label map."""
    return zlib.crc32(labels.tobytes())


class History:
    """Edits, and which of them are undone, in a journal.

    Args:
        path: the journal's file.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self.done: list[Edit] = []
        self.undone: list[Edit] = []
        self._last: tuple[int, int] | None = None  # checksums of the map before and after the last record
        self._last_change: tuple[Edit, bool] | None = None  # and what it did: the edit, and whether it was undone
        for record in self._journal.read():
            self._replay(record)

    @property
    def state(self) -> str | None:
        """State of the image after the last record; ``None`` if there is none."""
        if self._last_change is None:
            return None
        edit, undone = self._last_change
        return edit.state_before if undone else edit.state_after

    def recover(self, labels: LabelMap) -> LabelMap | None:
        """Brings the map of the mask file to the state of the journal.

        A process that is killed between writing the journal and the mask leaves the mask one record behind.

        Args:
            labels: the map that was read from the mask's file; not changed.

        Returns:
            The map after the last record; ``None`` if the file was changed by another program.
        """
        if self._last is None or self._last_change is None or checksum(labels) == self._last[1]:
            return labels
        if checksum(labels) != self._last[0]:
            return None
        edit, undone = self._last_change
        labels = labels.copy()
        labels[part(edit.rect)] = edit.labels_before() if undone else edit.labels_after()
        return labels if checksum(labels) == self._last[1] else None

    def clear(self) -> None:
        """Sets the journal's file aside and starts an empty one."""
        if self._journal.path.exists():
            self._journal.path.replace(self._journal.path.with_suffix(f".{time.time_ns()}.old"))
        self.done, self.undone, self._last, self._last_change = [], [], None, None

    def add(self, edit: Edit, what: Mapping[str, Any], *, sums: tuple[int, int]) -> None:
        """Records an edit; edits that were undone can no longer be redone.

        Args:
            edit: the change.
            what: the request that made it.
            sums: checksums of the label map before and after it.

        Raises:
            OSError: if it cannot be written.
        """
        self._write(
            {
                "op": "edit",
                "what": dict(what),
                "rect": edit.rect,
                "before": base64.b64encode(edit.before).decode(),
                "after": base64.b64encode(edit.after).decode(),
                "states": [edit.state_before, edit.state_after],
                "sums": sums,
                "time": round(time.time(), 2),
            }
        )

    def undo(self, *, sums: tuple[int, int]) -> None:
        """Records that the last edit is undone."""
        self._write({"op": "undo", "sums": sums})

    def redo(self, *, sums: tuple[int, int]) -> None:
        """Records that the last undone edit is done again."""
        self._write({"op": "redo", "sums": sums})

    def _write(self, record: Record) -> None:
        self._journal.append(record)
        self._replay(record)

    def _replay(self, record: Record) -> None:
        match record.get("op"):
            case "edit":
                top, bottom, left, right = record["rect"]
                edit = Edit(
                    rect=(top, bottom, left, right),
                    before=base64.b64decode(record["before"]),
                    after=base64.b64decode(record["after"]),
                    state_before=record["states"][0],
                    state_after=record["states"][1],
                    what=record["what"],
                )
                self.done.append(edit)
                self.undone = []
            case "undo" if self.done:
                edit = self.done.pop()
                self.undone.append(edit)
            case "redo" if self.undone:
                edit = self.undone.pop()
                self.done.append(edit)
            case _:
                return
        self._last = (int(record["sums"][0]), int(record["sums"][1]))
        self._last_change = (edit, record["op"] == "undo")


def _unpack(data: bytes, rect: Rect) -> LabelMap:
    top, bottom, left, right = rect
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(bottom - top, right - left)
