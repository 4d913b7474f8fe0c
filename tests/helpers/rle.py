"""A reference decoder of run lengths."""

import numpy as np
from numpy.typing import NDArray


def decode_rle(text: str, height: int, width: int) -> NDArray[np.uint8]:
    """Decodes run lengths pixel by pixel, as Kaggle defines them.

    "1 3 10 5" means that pixels 1, 2, 3, 10, 11, 12, 13 and 14 are included.
    """
    numbers = [int(word) for word in text.split()]
    mask = np.zeros((height, width), np.uint8)
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        for pixel in range(start, start + length):
            row, column = divmod(pixel - 1, width)  # pixel 1 is (1,1), pixel 2 is (1,2)
            mask[row, column] = 1
    return mask
