"""The shard of ``prepare --shard``: the files that one of several processes or hosts checks and caches.

Tar shards, files that hold images, are another thing (``datamodules/storage/shard_names.py``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from datamodules.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a data set; the sizes of any two differ by one file at most.

    Args:
        number: the part, from 1.
        count: number of parts.
    """

    number: int
    count: int

    def __str__(self) -> str:
        """As it is written on the command line.

        >>> print(Shard(3, 16))
        3/16
        """
        return f"{self.number}/{self.count}"

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """The items of this part: every ``count``-th, which spreads the images of a folder over all parts.

        >>> Shard(2, 3).of("abcdefgh")
        'beh'
        """
        return items[self.number - 1 :: self.count]


def parse_shard(text: str) -> Shard:
    """Reads ``NUMBER/COUNT``.

    Raises:
        DataError: if it is something else, or the number is not one of 1 to the count.
    """
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if match is None:
        raise DataError(f"--shard {text}: expected NUMBER/COUNT, such as 3/16 for the third of 16 parts")
    shard = Shard(int(match[1]), int(match[2]))
    if not 1 <= shard.number <= shard.count:
        raise DataError(f"--shard {text}: the number must be from 1 to the count, such as 1/16 to 16/16 for 16 parts")
    return shard
