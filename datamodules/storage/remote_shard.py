"""Tar shards behind URLs: each is copied whole when it is first read, and the copies have a limited size."""

import contextlib
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock

from datamodules.errors import DataError, unwritable
from datamodules.io.atomic_file import PARTIAL, atomic_path
from datamodules.storage.file_systems import ask, file_system
from datamodules.storage.tar_member import read_range

_ABANDONED_SECONDS = 24 * 3600.0  # age of an unfinished copy whose process was killed


@dataclass(frozen=True)
class RemoteShard:
    """A tar file behind a URL.

    Single images are not requested from the server: a shard of 10,000 images would need as many requests, each of which
    takes longer than its image. Several processes may read one shard; one of them copies it.

    Args:
        url: its URL.
        listed: its size in bytes and its state, see ``recorded_state``.
        copies: folder of the copies, which may be removed at any time.
        limit: bytes of all copies, about; those made longest ago are removed.
    """

    url: str
    listed: tuple[int, int]
    copies: Path
    limit: int

    def state(self) -> tuple[int, int]:
        """Size and state when the shard was found; the server is not asked again."""
        return self.listed

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` on.

        Raises:
            DataError: if the shard cannot be copied, or has changed.
        """
        while True:
            path = self.local()
            try:
                with path.open("rb") as file:
                    return read_range(file, start, length)
            except FileNotFoundError:  # removed by another process since
                continue

    def local(self) -> Path:
        """The copy, which is made if there is none.

        Raises:
            DataError: if the shard cannot be copied, or has changed.
        """
        digest = blake2b(f"{self.url} {self.listed}".encode(), digest_size=16).hexdigest()
        path = self.copies / f"{digest}.tar"
        if not path.exists():
            try:
                self.copies.mkdir(parents=True, exist_ok=True)
                with FileLock(path.with_suffix(".lock")):
                    if not path.exists():
                        self._copy(path)
            except OSError as error:
                raise unwritable(self.copies, error) from error
        return path

    def _copy(self, path: Path) -> None:
        def get(part: Path) -> None:
            system, name = file_system(self.url)
            system.get_file(name, str(part))

        self._make_room()
        with atomic_path(path) as part:
            ask(self.url, lambda: get(part))
            if part.stat().st_size != self.listed[0]:
                raise DataError(f"{self.url}: its size has changed since the run began: start a new run")

    def _make_room(self) -> None:
        """Removes the copies that were made longest ago until this one fits, and what killed processes left."""
        for part in self.copies.glob(f".*{PARTIAL}"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                    part.unlink()
        copies: list[tuple[float, int, Path]] = []
        for path in self.copies.glob("*.tar"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                copies.append((status.st_mtime, status.st_size, path))
        held = sum(size for _, size, _ in copies) + self.listed[0]
        for _, size, path in sorted(copies):
            if held <= self.limit:
                return
            with contextlib.suppress(OSError):  # open in another process on Windows, or removed by one
                path.unlink()
                held -= size
