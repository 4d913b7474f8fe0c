"""Remembers that a data set was checked and found sound, until one of its files or its class list changes."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datamodules.errors import unwritable
from datamodules.index.pairs import Pair
from datamodules.io.atomic_file import atomic_file
from datamodules.segmentation.check import CheckResult
from datamodules.segmentation.label_map import ClassList

_FORMAT = 3  # raise it when the check looks at more, so that old stamps are worth nothing


def stamp_path(folder: Path, pairs: Sequence[Pair], classes: ClassList) -> Path:
    """Names the stamp of these files as they are now.

    The name is made from the paths, sizes and times of change of all images and masks and from the class list.

    Args:
        folder: where stamps are kept.
        pairs: what was, or is to be, checked.
        classes: the class list.
    """
    return stamp_of_files(folder, (path for pair in pairs for path in (pair.image, pair.mask)), about=str(classes))


def stamp_of_files(folder: Path, files: Iterable[Path], *, about: str) -> Path:
    """Names the stamp of ``files`` as they are now.

    Args:
        folder: where stamps are kept.
        files: what was, or is to be, checked.
        about: what else the check depends on.
    """
    digest = hashlib.sha256(f"{_FORMAT} {about}".encode())
    for path in files:
        status = path.stat()
        digest.update(f"\n{path} {status.st_size} {status.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return folder / f"{digest.hexdigest()[:32]}.json"


def read_stamp(path: Path) -> CheckResult | None:
    """Reads what an earlier check found; ``None`` where there was none, or its stamp is damaged."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return CheckResult(
            values={int(value): int(pixels) for value, pixels in stored["values"].items()},
            mapping={int(value): int(number) for value, number in stored["mapping"].items()},
            sizes=stored["sizes"],
            orientations=stored["orientations"],
            bad=stored["bad"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_stamp(path: Path, result: CheckResult) -> None:
    """Writes a stamp in one piece, so that several processes may do so at once."""
    write_json(path, asdict(result))


def read_json(path: Path) -> Any:
    """Reads what ``write_json`` wrote; ``None`` where there is nothing, or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: Any) -> None:
    """Writes plain values in one piece.

    Raises:
        DataError: if the folder cannot be written to.
    """
    try:
        with atomic_file(path) as file:
            file.write(json.dumps(content).encode())
    except OSError as error:
        raise unwritable(path.parent, error) from error
