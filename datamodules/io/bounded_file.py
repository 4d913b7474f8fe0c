"""A file that is never asked for more than it has."""

import io
import os
from pathlib import Path


class BoundedFile(io.BufferedReader):
    """Reads like any file, but takes memory for no more than what is left of it.

    A damaged length in a PNG makes Pillow ask for 4 GB, and Python sets them aside before it looks for them.

    Args:
        path: the file, which is opened.

    Raises:
        OSError: if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._length = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads up to ``size`` bytes, or all that are left."""
        if size is None or size < 0:
            return super().read(size)
        return super().read(min(size, max(0, self._length - self.tell())))
