"""Paths of images that are no files of their own, such as those in a tar file."""

import io
import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _SystemPath = Path
else:
    _SystemPath = type(Path())  # before Python 3.12 only the system's own class can be derived from


class StoredFile(_SystemPath, ABC):
    """The path of a file whose bytes lie elsewhere: it can be read, and its size and modification time are known.

    The text of the path is used in messages and for names. Paths that are made from it, such as its parent, are plain.
    """

    __slots__ = ()

    @abstractmethod
    def state(self) -> tuple[int, int]:
        """Size in bytes and modification time in nanoseconds.

        Raises:
            OSError: if what holds the bytes cannot be found.
        """

    @abstractmethod
    def read_bytes(self) -> bytes:
        """All bytes of the file.

        Raises:
            DataError: if they cannot be read any more.
            OSError: likewise.
        """

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002 - pathlib's signature
        """``state`` as of a regular file; all other fields are 0."""
        size, modified = self.state()
        seconds = modified // 10**9
        fields = (stat.S_IFREG | stat.S_IRUSR, 0, 0, 1, 0, 0, size, seconds, seconds, seconds)
        return os.stat_result(fields, {"st_mtime_ns": modified, "st_mtime": modified / 1e9})

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """The content as a binary file in memory.

        Raises:
            ValueError: if a text file or a file to write to is asked for.
        """
        mode = kwargs.get("mode", args[0] if args else "r")
        if mode != "rb":
            raise ValueError(f"{self} can only be opened in the mode 'rb', not {mode!r}")
        return io.BytesIO(self.read_bytes())

    def with_segments(self, *segments: str | os.PathLike[str]) -> Path:
        """A plain path."""
        return Path(*segments)
