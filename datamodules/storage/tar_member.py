"""A file in a tar shard: one seek and one read of the shard."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from datamodules.errors import DataError
from datamodules.io.stored_file import StoredFile


class TarShard(Protocol):
    """A tar file."""

    def state(self) -> tuple[int, int]:
        """Its size in bytes and modification time in nanoseconds now.

        Raises:
            OSError: if there is no such file.
        """
        ...

    def read(self, start: int, length: int) -> bytes:
        """Some of its bytes.

        Raises:
            DataError: if it has changed since its headers were read.
            OSError: if it cannot be read.
        """
        ...


@dataclass(frozen=True)
class LocalShard:
    """A tar file on a disk. It is opened for each read, so that processes share no position and none stays open.

    Args:
        path: the file.
        indexed: its state when its headers were read.
    """

    path: Path
    indexed: tuple[int, int]

    def state(self) -> tuple[int, int]:
        """Its size in bytes and modification time in nanoseconds now."""
        return _state(self.path.stat())

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` on.

        Raises:
            DataError: if the file has changed since its headers were read.
            OSError: if it cannot be read.
        """
        with self.path.open("rb") as file:
            if _state(os.fstat(file.fileno())) != self.indexed:
                raise DataError(f"{self.path}: has changed since the run began: restore the file, or start a new run")
            return read_range(file, start, length)


class TarMember(StoredFile):
    """The path ``shard.tar/name``; see ``tar_member``."""

    __slots__ = ("length", "shard", "shard_path", "start")

    shard: TarShard
    shard_path: str
    start: int
    length: int

    def __reduce__(self) -> tuple[object, ...]:
        return tar_member, (self.shard_path, self.name_in_shard, self.shard, self.start, self.length)

    @property
    def name_in_shard(self) -> str:
        """Name of the file in the shard, with folders."""
        return self.as_posix()[len(self.shard_path) + 1 :]

    def state(self) -> tuple[int, int]:
        """Size of the file in bytes and modification time of the shard in nanoseconds."""
        return self.length, self.shard.state()[1]

    def read_bytes(self) -> bytes:
        """All bytes of the file.

        Raises:
            DataError: if the shard has changed since its headers were read.
            OSError: if it cannot be read.
        """
        return self.shard.read(self.start, self.length)


def tar_member(shard_path: str, name: str, shard: TarShard, start: int, length: int) -> TarMember:
    """A file in a shard.

    Args:
        shard_path: path of the shard, with ``/``.
        name: name of the file in the shard.
        shard: the tar file.
        start: position of the first byte of the file in the shard.
        length: bytes of the file.
    """
    member = TarMember(f"{shard_path}/{name}")
    member.shard, member.shard_path, member.start, member.length = shard, shard_path, start, length
    return member


def read_range(file: BinaryIO, start: int, length: int) -> bytes:
    """``length`` bytes of an open file from ``start`` on.

    Raises:
        OSError: if the file is shorter.
    """
    file.seek(start)
    content = file.read(length)
    if len(content) < length:
        raise OSError(errno.EIO, "it has become shorter while it was read")
    return content


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
