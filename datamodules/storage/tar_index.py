"""The index of a tar file: name, position and length of each file in it, from the headers alone.

The formats are those that ``tarfile`` of Python reads: ustar, pax and GNU. It takes a damaged header for the end of the
archive, so this module asks for the end mark, two blocks of zeros that every complete archive has.
"""

import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from datamodules.cache.check_results import read_result, result_path, write_result
from datamodules.errors import DataError
from datamodules.index.splits import is_outside_root

_ADVICE = "copy or download it again, or remove it"
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_BEHIND_END = 1 << 20  # bytes behind the end mark that must be zeros; archives are padded to 10 KiB


class Member(NamedTuple):
    """A file in a tar file."""

    name: str
    start: int  # position of its first byte
    length: int


def load_index(shard: Path, results: Path, *, local: Callable[[], Path] | None = None) -> list[Member]:
    """Reads the index of a shard that an earlier run stored, or makes and stores it.

    Args:
        shard: an uncompressed tar file.
        results: folder of stored results.
        local: returns the file to read if ``shard`` is a remote one.

    Raises:
        DataError: see ``read_members``.
    """
    path = result_path(results, [shard], about="tar index")
    stored = _valid(read_result(path))
    if stored is None:
        stored = read_members(shard, local() if local else shard)
        write_result(path, [[member.name for member in stored], [member[1:] for member in stored]])
    return stored


def read_members(shard: Path, content: Path | None = None) -> list[Member]:
    """Reads the headers of a tar file.

    Hidden files, such as those that macOS adds, are left out, and folders. A leading ``./`` of names is dropped.

    Args:
        shard: the tar file, for messages.
        content: the file to read; ``None`` is ``shard``.

    Returns:
        The files in the order of the archive.

    Raises:
        DataError: if the file cannot be read, is not a tar file, is compressed, or cut short, or has two files of one
            name, links, or names that lead out of it.
    """
    members: list[Member] = []
    try:
        with (content or shard).open("rb") as file:
            _refuse_compressed(shard, file.read(8))
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                kept: Any = tar  # it keeps every header in its list `members`, which its type does not declare
                while (header := tar.next()) is not None:
                    kept.members.clear()
                    name = PurePosixPath(header.name)
                    if header.isdir() or any(part.startswith(".") for part in name.parts if part != ".."):
                        continue
                    if not header.isreg() or header.issparse():
                        raise DataError(f"{shard}: {header.name} is a link or no plain file: {_REPACK}")
                    if is_outside_root(header.name):
                        raise DataError(f"{shard}: the name {header.name} leads out of the archive: {_REPACK}")
                    members.append(Member(str(name), header.offset_data, header.size))
                end = tar.offset
            file.seek(end)
            _check_end(shard, file.read(_BEHIND_END))
    except tarfile.TarError as error:
        raise DataError(f"{shard}: is not a tar file, or is damaged or cut short ({error}); {_ADVICE}") from error
    except OSError as error:
        raise DataError(f"{shard}: cannot be read: {error.strerror or error}") from error
    twice = [name for name, count in Counter(member.name for member in members).items() if count > 1]
    if twice:
        raise DataError(f"{shard}: has {len(twice)} name(s) more than once, such as {twice[0]}: {_REPACK}")
    return members


_REPACK = "pack the files into a new archive"


def _refuse_compressed(shard: Path, start: bytes) -> None:
    for magic, name in _COMPRESSED.items():
        if start.startswith(magic):
            raise compressed_error(shard, name)


def compressed_error(shard: Path, how: str) -> DataError:
    """The error for a compressed archive, whose files cannot be read one by one.

    Args:
        shard: the archive.
        how: name of the compression.
    """
    return DataError(
        f"{shard}: is compressed ({how}), and its files can only be read one after another: decompress it (for example "
        f"with gunzip); images in it are compressed already"
    )


def _check_end(shard: Path, rest: bytes) -> None:
    """Refuses an archive without its end mark, or with data behind it."""
    if len(rest) < tarfile.BLOCKSIZE or rest[: tarfile.BLOCKSIZE].strip(b"\0"):
        raise DataError(f"{shard}: is damaged or cut short (it has no end mark where its last file ends); {_ADVICE}")
    if rest.strip(b"\0"):
        raise DataError(f"{shard}: has more data behind its end mark, as joined archives have: {_REPACK}")


def _valid(stored: object) -> list[Member] | None:
    """A stored index, or ``None`` if it is none."""
    if not isinstance(stored, list) or len(stored) != 2:
        return None
    try:
        return [Member(str(name), int(start), int(length)) for name, (start, length) in zip(*stored, strict=True)]
    except (TypeError, ValueError):
        return None
