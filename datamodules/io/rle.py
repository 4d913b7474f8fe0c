"""Run-length encoding of masks in the format of Kaggle's Carvana competition."""

import numpy as np
from numpy.typing import NDArray


def encode_rle(mask: NDArray[np.bool_] | NDArray[np.uint8]) -> str:
    """Encodes a mask as ``start length start length ...``.

    Pixels are numbered from 1, left to right and then top to bottom (COCO and other Kaggle competitions
    number them top to bottom first).

    Args:
        mask: (H, W); every nonzero value is foreground.

    Returns:
        Numbers separated by one space; an empty string for a mask without foreground.

    >>> encode_rle(np.array([[0, 1, 1], [1, 0, 1]], dtype=np.uint8))
    '2 3 6 1'
    """
    flat = np.zeros(mask.size + 2, dtype=np.int8)  # a background pixel at both ends closes every run
    flat[1:-1] = mask.reshape(-1) != 0
    edges = np.flatnonzero(np.diff(flat))  # start of a run (even indices) and the pixel after its end (odd)
    runs = np.stack([edges[::2] + 1, edges[1::2] - edges[::2]], axis=1)
    return " ".join(map(str, runs.reshape(-1).tolist()))
