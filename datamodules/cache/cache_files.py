"""The files of the cache: uint8 pixels in NumPy's ``.npy`` format, followed by a CRC-32 of 4 bytes.

``numpy.load`` reads them. A file is written under a temporary name and renamed, so no reader sees an incomplete one.
Files are not flushed to the disk, which would cost more than the decoding that they save: a file that a power failure
damaged fails its checksum and is written again.
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
import torch
from numpy.typing import NDArray

from datamodules.io.atomic_file import atomic_path

TEMPORARY = ".part"  # suffix of incomplete files
_CHECKSUM_BYTES = 4
_ABANDONED_SECONDS = 24 * 3600.0


@lru_cache
def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


def file_bytes(shape: tuple[int, ...]) -> int:
    """Length in bytes of the file of an array of this shape."""
    return len(_header(shape)) + math.prod(shape) + _CHECKSUM_BYTES


def has_length(file: Path, length: int) -> bool:
    """Whether ``file`` exists and has ``length`` bytes."""
    try:
        return file.stat().st_size == length
    except OSError:
        return False


def read_cache_file(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Maps the pixels of a cache file into memory after comparing its checksum.

    The memory is the system's page cache, which all processes share. The file may be removed or replaced while it is
    mapped, and is not kept open.

    Returns:
        An array that may not be written to; ``None`` if the file does not exist or is damaged.
    """
    header, length = _header(shape), file_bytes(shape)
    if not has_length(path, length):
        return None
    try:
        content = _file_content(path, length)
    except OSError:  # removed since
        return None
    start, end = len(header), length - _CHECKSUM_BYTES
    pixels = content[start:end]
    if len(content) != length or content[:start].tobytes() != header:
        return None
    if _checksum(pixels.data) != content[end:].tobytes():
        return None
    pixels.flags.writeable = False
    return pixels.reshape(shape)


def _file_content(path: Path, length: int) -> NDArray[np.uint8]:
    try:
        # Unlike numpy.memmap it keeps no file open, and the number of open files is limited.
        return torch.from_file(str(path), shared=False, size=length, dtype=torch.uint8).numpy()
    except RuntimeError:  # the file system cannot map files, or the process has too many maps
        return np.fromfile(path, np.uint8)


def write_cache_file(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Writes a cache file atomically.

    Raises:
        OSError: if it cannot be written; the temporary file is removed then.
    """
    data = np.ascontiguousarray(pixels).data
    temporary = path.with_name(f"{path.stem}-{os.getpid()}-{_process_space()}-{secrets.token_hex(4)}{TEMPORARY}")
    with atomic_path(path, partial=temporary, sync=False) as partial, partial.open("xb") as file:
        file.write(_header(pixels.shape))
        file.write(data)
        file.write(_checksum(data))


def is_abandoned(temporary: Path, *, age: float) -> bool:
    """Whether the process that wrote an incomplete file is gone.

    Args:
        temporary: a file named by ``write_cache_file``.
        age: seconds since it was last written to; decides for processes of other machines, which cannot be looked up.
    """
    _, pid, space, *_ = [*temporary.stem.split("-"), "", ""]
    if space != _process_space() or not pid.isdigit():
        return age > _ABANDONED_SECONDS
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False


@lru_cache
def _process_space() -> str:
    """Digest of the machine, its boot and the container: process IDs are comparable only where it is equal."""
    words = [socket.gethostname()]
    with contextlib.suppress(OSError):
        words += [
            Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return hashlib.blake2b("\n".join(words).encode(), digest_size=4).hexdigest()


def _checksum(data: memoryview) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "little")
