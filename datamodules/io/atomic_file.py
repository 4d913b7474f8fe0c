"""Files that appear complete under their name or not at all. Imports nothing slow."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: Suffix of a file that is not finished yet. Its name also starts with a dot.
PARTIAL = ".partial"
_temporary: set[Path] = set()
_LONGEST_NAME = 255  # bytes, on every common file system


@contextmanager
def atomic_path(target: Path, *, partial: Path | None = None, sync: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside ``target`` and renames it to ``target`` when the block ends without an error.

    A reader never sees a half-written file, and several processes may write the same target at once: the last one
    wins.

    Args:
        target: the final file. Its folder is created.
        partial: the temporary path. By default it is hidden, ends in ``.partial`` and has a random part.
        sync: whether to flush the file to the disk before it is renamed, so that it survives a power cut.

    Yields:
        The path to write to.

    Raises:
        OSError: if the file cannot be written. ``target`` is unchanged then, and the temporary file is removed.
    """
    partial = partial or partial_path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary(partial):
        yield partial
        if sync:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(target)


@contextmanager
def atomic_file(target: Path) -> Iterator[BinaryIO]:
    """Opens a binary file that gets the name ``target`` when the block ends without an error.

    Yields:
        The file to write to.

    Raises:
        OSError: if the file cannot be written. ``target`` is unchanged then.
    """
    with atomic_path(target) as partial, partial.open("wb") as file:
        yield file


@contextmanager
def temporary(path: Path) -> Iterator[None]:
    """Removes the file ``path`` at the end of the block, or when a signal ends the process (``remove_temporary``)."""
    _temporary.add(path)
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may not exist
            path.unlink(missing_ok=True)
        _temporary.discard(path)


def remove_temporary() -> None:
    """Removes the temporary files of this process; called right before it ends without running ``finally`` blocks."""
    for path in list(_temporary):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def partial_path(target: Path) -> Path:
    """Chooses a temporary path beside ``target``; a name that would be too long for the file system is shortened.

    >>> name = partial_path(Path("x" * 251 + ".png")).name
    >>> len(name), name[:4], name[-8:]
    (255, '.xxx', '.partial')
    """
    end = f".{secrets.token_hex(4)}{PARTIAL}"
    start = os.fsencode(f".{target.name}")[: _LONGEST_NAME - len(end)]
    return target.with_name(start.decode(errors="ignore") + end)


def remove_partial_files(*folders: Path) -> None:
    """Removes what a killed process left unfinished in ``folders``."""
    for folder in folders:
        for file in folder.glob(f".*{PARTIAL}"):
            file.unlink(missing_ok=True)
