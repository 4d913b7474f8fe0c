"""Results of checks, kept in the cache until one of the checked files changes."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datamodules.cache.encodings import file_state
from datamodules.errors import DataError, unwritable
from datamodules.io.atomic_file import atomic_file

RESULT_FORMAT = 5  # raise it when a check looks at more, so that older results are not used


#: Size in bytes and modification time in nanoseconds.
State = tuple[int, int]


def current_state(path: Path) -> State | None:
    """The state of a file now; ``None`` if it cannot be found, as a dead link."""
    with contextlib.suppress(DataError):
        return file_state(path)
    return None


def result_path(
    folder: Path, files: Iterable[Path], *, about: str, state_of: Callable[[Path], State | None] = current_state
) -> Path:
    """Names the result of a check; the name depends on the path, size and modification time of every file.

    Args:
        folder: folder of the results.
        files: the files to check.
        about: everything else that the result depends on.
        state_of: size and modification time of a file, ``None`` for a dead link; asks the disk by default.
    """
    digest = hashlib.sha256(f"{RESULT_FORMAT} {about}".encode())
    for path in files:
        state = state_of(path)
        text = "missing" if state is None else f"{state[0]} {state[1]}"
        digest.update(f"\n{path} {text}".encode("utf-8", "surrogateescape"))
    return folder / f"{digest.hexdigest()[:32]}.json"


def read_result(path: Path) -> Any:
    """Reads a result as plain values; ``None`` if there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_result(path: Path, content: Any) -> None:
    """Writes a result of plain values; atomic, so that several processes may write at once.

    Raises:
        DataError: if the folder cannot be written to.
    """
    try:
        with atomic_file(path) as file:
            file.write(json.dumps(content).encode())
    except OSError as error:
        raise unwritable(path.parent, error) from error
