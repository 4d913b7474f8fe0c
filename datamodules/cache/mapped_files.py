"""The cache files that a process has mapped into memory."""

import numpy as np
from numpy.typing import NDArray

#: Path of the image, its size in bytes and modification time, cached size, and label of the encoding.
MapKey = tuple[str, tuple[int, int], int, str]

_MOST = 30_000  # Linux allows a process 65,530 maps by default


class MappedFiles:
    """Pixels of mapped cache files, up to a fixed number; a copy for another process starts empty."""

    def __init__(self) -> None:
        self._pixels: dict[MapKey, NDArray[np.uint8]] = {}

    def __reduce__(self) -> tuple[type["MappedFiles"], tuple[()]]:
        return MappedFiles, ()  # pickling would copy the pixels to the loader processes

    def __len__(self) -> int:
        """Number of maps."""
        return len(self._pixels)

    def get(self, key: MapKey) -> NDArray[np.uint8] | None:
        """The pixels of a file that was added."""
        return self._pixels.get(key)

    def add(self, key: MapKey, pixels: NDArray[np.uint8]) -> None:
        """Keeps a map, unless there are too many."""
        if len(self._pixels) < _MOST:
            self._pixels[key] = pixels
