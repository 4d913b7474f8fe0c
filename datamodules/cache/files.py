"""The files of the cache: uint8 pixels as ``.npy``, with a checksum of 4 bytes behind them.

``numpy.load`` shows them. They are written under another name and then renamed, so no reader sees half of one. They are
not flushed to the disk one by one, as that would cost more than the decoding they save: after a power cut a copy may
be torn, the checksum tells, and it is made again.
"""

import contextlib
import hashlib
import io
import math
import os
import secrets
import socket
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.io.atomic_file import atomic_path

TEMPORARY = ".part"  # the suffix of what is not finished
_CHECKSUM_BYTES = 4
_ABANDONED_SECONDS = 24 * 3600.0


@lru_cache
def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


def file_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of the file that holds a copy of this shape."""
    return len(_header(shape)) + math.prod(shape) + _CHECKSUM_BYTES


def has_length(copy: Path, length: int) -> bool:
    """Whether there is a file of that many bytes."""
    try:
        return copy.stat().st_size == length
    except OSError:
        return False


def read_copy(copy: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The pixels of a copy, or ``None`` if it is not there or damaged."""
    header = _header(shape)
    content = bytearray(file_bytes(shape) + 1)  # one more, to notice a file that is too long
    try:
        with open(copy, "rb", buffering=0) as file:  # noqa: PTH123 - half the time of Path.open
            length = file.readinto(content)
    except OSError:
        return None
    start, end = len(header), len(content) - 1 - _CHECKSUM_BYTES
    pixels = memoryview(content)[start:end]
    if length != len(content) - 1 or content[:start] != header:
        return None
    if _checksum(pixels) != content[end:-1]:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(shape)


def write_copy(copy: Path, pixels: NDArray[np.uint8]) -> None:
    """Writes a copy so that it is there as a whole or not at all.

    Raises:
        OSError: if it cannot be written; nothing is left behind then.
    """
    data = np.ascontiguousarray(pixels).data
    temporary = copy.with_name(f"{copy.stem}-{os.getpid()}-{_here()}-{secrets.token_hex(4)}{TEMPORARY}")
    with atomic_path(copy, partial=temporary, sync=False) as partial, partial.open("xb") as file:
        file.write(_header(pixels.shape))
        file.write(data)
        file.write(_checksum(data))


def is_abandoned(temporary: Path, *, age: float) -> bool:
    """Whether nobody will finish an unfinished copy.

    Args:
        temporary: its file, as ``write_copy`` names it.
        age: seconds since it was written to; of processes on other machines, this alone tells.
    """
    _, pid, place, *_ = [*temporary.stem.split("-"), "", ""]
    if place != _here() or not pid.isdigit():
        return age > _ABANDONED_SECONDS
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False


@lru_cache
def _here() -> str:
    """A word for this machine since it was switched on, and for the container: where process numbers mean something."""
    words = [socket.gethostname()]
    with contextlib.suppress(OSError):
        words += [
            Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return hashlib.blake2b("\n".join(words).encode(), digest_size=4).hexdigest()


def _checksum(data: memoryview) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "little")
