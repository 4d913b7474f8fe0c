"""A folder of resized uncompressed images, so that stages of small size do not decode full-size files every epoch.

There is one cache file for each image (``datamodules/cache/cache_files.py``). Its name is a hash of the image's path,
size and modification time and of the cached size and encoding, so an image that changes, or a mask whose values are
mapped otherwise, gets another cache file. Filling may be interrupted and continued; several processes may fill at once.
"""

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.cache.cache_files import (
    TEMPORARY,
    file_bytes,
    has_length,
    is_abandoned,
    read_cache_file,
    write_cache_file,
)
from datamodules.cache.check_results import State, current_state
from datamodules.cache.encodings import Encoding, file_state
from datamodules.cache.mapped_files import MappedFiles
from datamodules.cache.pinned_states import PinnedStates
from datamodules.errors import DataError, unwritable
from datamodules.index.pairs import name_below
from datamodules.io.stored_file import StoredFile
from datamodules.loading.parallel import map_files, raise_together

_log = logging.getLogger(__name__)

_FORMAT = 2  # part of every name: raise it when an encoding gives other pixels than before


class Item(NamedTuple):
    """A file to cache and its encoding."""

    path: Path
    encoding: Encoding


class _Job(NamedTuple):
    cache_file: Path
    item: Item


class ImageCache:
    """Images and masks at the sizes of the stages.

    ``fill`` writes them, ``get`` reads them. ``get`` decodes an image that is not cached, because the limit was reached
    or the image has changed.

    Args:
        folder: created if it does not exist; may be shared by runs and data sets, and removed at any time.
        limit_gb: gigabytes (1e9 bytes). ``fill`` writes nothing for a data set whose copies at one size take more, and
            adds no file once the folder holds as much.
    """

    def __init__(self, folder: Path, *, limit_gb: float) -> None:
        self.folder = folder
        self.limit_gb = limit_gb
        self._pinned = PinnedStates()
        self._mapped = MappedFiles()

    def pin(self, root: Path, paths: Iterable[Path]) -> str:
        """Records the state of ``paths``: from now on ``get`` refuses a file that has changed.

        Args:
            root: the data's root.
            paths: files, in a fixed order.

        Returns:
            A digest of their names below ``root``, sizes and modification times.
        """
        digest = blake2b(digest_size=16)
        states: list[tuple[Path, State]] = []
        for path in paths:
            state = current_state(path)  # None for a dead link, which the check reports
            if state is not None:
                states.append((path, state))
            digest.update(os.fsencode(f"{name_below(root, path)}\0{state}\0"))
        self._pinned.add(states)
        return digest.hexdigest()

    def pinned(self, path: Path) -> State | None:
        """The state of a file that ``pin`` recorded; ``None`` for a dead link and for other files."""
        return self._pinned.get(path)

    def get(self, path: Path, size: int, encoding: Encoding) -> NDArray[np.uint8]:
        """The pixels of ``path`` at ``size``: an array that may not be written to if it comes from the cache.

        A cache file is mapped into memory and its checksum compared when it is first read by a process.

        Raises:
            DataError: if the file was pinned and has changed, or is not cached and cannot be used.
        """
        state = file_state(path)
        if self._pinned.get(path) not in (None, state):
            raise DataError(
                f"{path}: its size or modification time has changed since the run began: restore the file and resume "
                "the run, or start a new run with the changed data"
            )
        key = (str(path), state, size, encoding.label)
        if (mapped := self._mapped.get(key)) is not None:
            return mapped
        cache_file = _cache_file(self.folder, path, state, size, encoding)
        pixels = read_cache_file(cache_file, encoding.shape(size))
        if pixels is not None:
            self._mapped.add(key, pixels)
        else:
            pixels = encoding.encode(path, size)
            if cache_file.exists():  # then it is damaged
                with contextlib.suppress(OSError):  # a cache that cannot be repaired only costs time
                    write_cache_file(cache_file, pixels)
        return pixels

    def fill(self, items: Iterable[Item], size: int, *, workers: int, parts: int = 1) -> bool:
        """Writes the cache files that do not exist yet, with a progress bar.

        If those of all items exceed the limit, none is written: a part of them would take all of the space, and the
        rest would be decoded all the same. That is decided by the items and the limit alone, not by what the folder
        holds. Copies that exist are read in any case, and equal what is decoded.

        Args:
            items: files and their encodings.
            size: size of the cached images in pixels, see ``Encoding.shape``.
            workers: processes that share the work.
            parts: number of calls, of other processes or hosts too, that share the limit; each has about as many items.

        Returns:
            Whether the limit allows copies.

        Raises:
            DataError: if files cannot be used (all are counted and the first twenty named, after the others were
                written), or the folder cannot be written to.
        """
        items = list(items)
        if not self._affords(items, size, parts):
            return False
        missing: dict[Path, Item] = {}
        unreadable: list[DataError] = []
        held = _lengths(self.folder / str(size))
        for item in items:
            try:
                cache_file = _cache_file(self.folder, item.path, file_state(item.path), size, item.encoding)
            except DataError as error:
                unreadable.append(error)
                continue
            if held.get(cache_file.name) != file_bytes(item.encoding.shape(size)):
                missing[cache_file] = item
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            jobs = self._within_limit(missing, size, len(items), parts)
            outcomes = map_files(partial(_encode, size), jobs, workers=workers, title=f"caching at {size} px")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        raise_together([*unreadable, *outcomes])
        return True

    def _affords(self, items: Sequence[Item], size: int, parts: int) -> bool:
        """Whether the copies of all items take no more than the limit; warns if they do."""
        gigabytes = parts * sum(file_bytes(item.encoding.shape(size)) for item in items) / 1e9
        if gigabytes <= self.limit_gb:
            return True
        _log.warning(
            "%s: the copies at %d px would take %.3g GB, more than the limit of %g GB: none is written, and every file "
            "is decoded whenever it is read; --data.cache_gb %d or more keeps copies, on a disk with that much space",
            *(self.folder, size, gigabytes, self.limit_gb, math.ceil(gigabytes)),
        )
        return False

    def _within_limit(self, missing: dict[Path, Item], size: int, total: int, parts: int) -> list[_Job]:
        limit, held = self.limit_gb * 1e9, _bytes_held(self.folder) if missing else 0
        jobs: list[_Job] = []
        for cache_file, item in missing.items():
            held += parts * file_bytes(item.encoding.shape(size))
            if held > limit:
                break
            jobs.append(_Job(cache_file, item))
        if len(jobs) < len(missing):
            _log.warning(
                "%s: its limit of %g GB is reached: %d of %d files at %d px are not cached and are decoded every time; "
                "remove folders of sizes that are no longer used, or raise --data.cache_gb",
                *(self.folder, self.limit_gb, len(missing) - len(jobs), total, size),
            )
        return jobs


def _encode(size: int, job: _Job) -> None:
    """Writes one cache file, unless another process has written it."""
    cache_file, (path, encoding) = job
    if not has_length(cache_file, file_bytes(encoding.shape(size))):
        write_cache_file(cache_file, encoding.encode(path, size))


def _cache_file(folder: Path, path: Path, state: tuple[int, int], size: int, encoding: Encoding) -> Path:
    # abspath: resolve() asks the disk about every parent folder. A path behind a URL has no working directory.
    absolute = str(path)
    if not isinstance(path, StoredFile) and (not absolute.startswith("/") or ".." in absolute):
        absolute = os.path.abspath(path)  # noqa: PTH100
    parts = (absolute, *map(str, state), encoding.label, str(_FORMAT))
    name = blake2b(b"\0".join(map(os.fsencode, parts)), digest_size=16).hexdigest()
    # 16 folders: creating files in 256 takes twice as long on ext4, which spreads folders over the disk.
    return folder / str(size) / name[0] / f"{name}.npy"


def _lengths(folder: Path) -> dict[str, int]:
    """Length in bytes of every file of a size by name, in a fifth of the time of asking for each by its path."""
    lengths: dict[str, int] = {}
    for part in "0123456789abcdef":
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder / part) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process works here too
                    lengths[entry.name] = entry.stat().st_size
    return lengths


def _bytes_held(folder: Path) -> int:
    """Bytes of all files in the cache; removes the incomplete files of processes that were killed."""
    total, now = 0, time.time()
    for parent, _, names in os.walk(folder):
        for name in names:
            file = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):  # another process works here too
                status = file.stat()
                if file.suffix == TEMPORARY and is_abandoned(file, age=now - status.st_mtime):
                    file.unlink()
                else:
                    total += status.st_size
    return total
