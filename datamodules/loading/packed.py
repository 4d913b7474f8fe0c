"""A sequence of records in one object, whose memory forked loader processes share for as long as they run."""

import marshal
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from operator import eq
from typing import Any, Generic, TypeVar, overload

import numpy as np

Record = TypeVar("Record")

#: The values of a record: texts, numbers, booleans, bytes, ``None`` and tuples of these.
Row = tuple[Any, ...]


class PackedSequence(Sequence[Record], Generic[Record]):
    """Records whose values are stored in one object of bytes; each access makes a new, equal record.

    Reading an element of a list counts a reference to it. The count is stored beside the object, so that a forked
    process copies the memory page of every element that it reads, and in the end the whole list. Bytes are only
    read. The originals must not be kept beside them: equal paths of a process share their texts. Detectron2 stores its
    data sets as pickled records for this reason; values without the names of classes are read in a fraction of the
    time.

    Args:
        records: the records.
        row: the values of a record.
        record: makes a record of its values; can be pickled, for processes that are not forked.
    """

    def __init__(
        self, records: Iterable[Record], *, row: Callable[[Record], Row], record: Callable[[Row], Record]
    ) -> None:
        stored = [marshal.dumps(row(one)) for one in records]
        self._ends = np.fromiter(accumulate(map(len, stored)), np.int64, len(stored))
        self._content = b"".join(stored)
        self._record = record

    def __len__(self) -> int:
        """Number of records."""
        return len(self._ends)

    def __eq__(self, other: object) -> bool:
        """Whether the records are equal."""
        if not isinstance(other, PackedSequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Returns new records.

        Raises:
            IndexError: if there is no such record.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start = int(self._ends[index - 1]) if index else 0
        return self._record(marshal.loads(self._content[start : int(self._ends[index])]))
