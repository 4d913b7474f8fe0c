"""A folder of small uncompressed copies, so that small stages do not decode full-size files every epoch.

One file a copy (``datamodules/cache/files.py``). Its name is made from the image's path, size and time of change and
from
the copy's side and kind, so an image that changes, or a mask read by another table, gets another copy. Filling can be
cut anywhere and goes on where it was; two processes may fill at once.
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.cache.encodings import Kind
from datamodules.cache.files import TEMPORARY, file_bytes, has_length, is_abandoned, read_copy, write_copy
from datamodules.errors import DataError, unwritable
from datamodules.loading.parallel import map_files, raise_together

_log = logging.getLogger(__name__)

_FORMAT = 1  # part of every name: raise it when the pixels of a copy would come out differently


class Item(NamedTuple):
    """One file to copy and how."""

    path: Path
    kind: Kind


class _Job(NamedTuple):
    copy: Path
    item: Item


class ImageCache:
    """Copies of images and masks at the sizes of the stages.

    ``fill`` makes them, ``get`` reads them. What is not there, because the limit was reached or the image has changed
    since, ``get`` decodes each time.

    Args:
        folder: made if it is not there; may be shared by several runs and data sets, and removed at any time.
        limit_gb: ``fill`` stops to add copies when the folder holds this many gigabytes (1e9 bytes).
    """

    def __init__(self, folder: Path, *, limit_gb: float) -> None:
        self.folder = folder
        self.limit_gb = limit_gb
        self._pinned: dict[Path, tuple[int, int]] = {}

    def pin(self, root: Path, paths: Iterable[Path]) -> str:
        """Expects ``paths`` to stay as they are: from now on ``get`` refuses one that has changed.

        Args:
            root: a folder above them.
            paths: in an order that does not change.

        Returns:
            A digest of their names below ``root``, sizes and times of change.

        Raises:
            DataError: if one is not there.
        """
        digest = blake2b(digest_size=16)
        for path in paths:
            marks = self._pinned[path] = _marks(path)
            digest.update(os.fsencode(f"{path.relative_to(root).as_posix()}\0{marks}\0"))
        return digest.hexdigest()

    def get(self, path: Path, size: int, kind: Kind) -> NDArray[np.uint8]:
        """The copy of ``path`` with the side ``size``: a fresh array that may be written to.

        Raises:
            DataError: if the file was pinned and has changed, or there is no sound copy and it cannot be used.
        """
        marks = _marks(path)
        if self._pinned.get(path, marks) != marks:
            raise DataError(
                f"{path}: has changed since the run began, by its size or time: put it back as it was and go on, or "
                "start a new run with the data as they are now"
            )
        copy = _copy_path(self.folder, path, marks, size, kind)
        pixels = read_copy(copy, kind.shape(size))
        if pixels is None:
            pixels = kind.make(path, size)
            if copy.exists():  # then it is damaged
                with contextlib.suppress(OSError):  # a cache that cannot be mended only costs time
                    write_copy(copy, pixels)
        return pixels

    def fill(self, items: Iterable[Item], size: int, *, workers: int) -> None:
        """Makes the copies that are not there yet, with a progress bar.

        Args:
            items: files and their kinds.
            size: side of the copies in pixels.
            workers: processes to share the work.

        Raises:
            DataError: if files cannot be used (all are counted, the first twenty named; the copies of the others are
                made), or the folder cannot be written.
        """
        wanted = list(items)
        missing: dict[Path, Item] = {}
        unreadable: list[DataError] = []
        for item in wanted:
            try:
                copy = _copy_path(self.folder, item.path, _marks(item.path), size, item.kind)
            except DataError as error:
                unreadable.append(error)
                continue
            if not has_length(copy, file_bytes(item.kind.shape(size))):
                missing[copy] = item
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            jobs = self._within_limit(missing, size, len(wanted))
            outcomes = map_files(partial(_make, size), jobs, workers=workers, title=f"copies at {size} px")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        raise_together([*unreadable, *outcomes])

    def _within_limit(self, missing: dict[Path, Item], size: int, total: int) -> list[_Job]:
        limit, held = self.limit_gb * 1e9, _bytes_held(self.folder)
        jobs: list[_Job] = []
        for copy, item in missing.items():
            held += file_bytes(item.kind.shape(size))
            if held > limit:
                break
            jobs.append(_Job(copy, item))
        if len(jobs) < len(missing):
            _log.warning(
                "%s: its limit of %g GB is reached: %d of %d files at %d px get no copy and are decoded every time; "
                "remove folders of sizes no longer used, or raise the limit",
                *(self.folder, self.limit_gb, len(missing) - len(jobs), total, size),
            )
        return jobs


def _make(size: int, job: _Job) -> None:
    """Makes one copy, unless another process has been quicker."""
    copy, (path, kind) = job
    if not has_length(copy, file_bytes(kind.shape(size))):
        write_copy(copy, kind.make(path, size))


def _marks(path: Path) -> tuple[int, int]:
    """Size and time of change of a file, by which a change shows."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return status.st_size, status.st_mtime_ns


def _copy_path(folder: Path, path: Path, marks: tuple[int, int], size: int, kind: Kind) -> Path:
    whole = os.path.abspath(path)  # noqa: PTH100 - resolve() asks the disk about every parent folder
    parts = (whole, *map(str, marks), kind.label, str(_FORMAT))
    name = blake2b(b"\0".join(map(os.fsencode, parts)), digest_size=16).hexdigest()
    return folder / str(size) / name[:2] / f"{name}.npy"


def _bytes_held(folder: Path) -> int:
    """Bytes of all files in the cache; what a killed process left half-written is removed."""
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
