r"""Standard output and error that may be closed at any time, and print every name.

They are closed by ``| head``, a closed terminal or a lost connection. Characters that cannot be encoded, such as the
bytes of a file name that is not UTF-8, are written as ``\xe9``.
"""

import errno
import io
import os
import sys
from typing import TextIO

from typing_extensions import Buffer  # in collections.abc since Python 3.12

_CLOSED = {errno.EPIPE, errno.EIO}  # a pipe without a reader, a terminal that is gone


def tolerate_closed_output() -> None:
    """Makes writing to a closed output do nothing, so that a training or prediction goes on without a reader."""
    sys.stdout = _tolerant(sys.stdout)
    sys.stderr = _tolerant(sys.stderr)


def _tolerant(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # closed when the program was started, or replaced by a test
        return stream
    stream.flush()
    raw = _TolerantFile(stream.fileno(), "w", closefd=False)
    unbuffered = isinstance(stream.buffer, io.RawIOBase)
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),  # as Python itself opens it with -u
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _TolerantFile(io.FileIO):
    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _CLOSED:
                raise
            # Child processes and libraries in C write to the same descriptor.
            closed = os.open(os.devnull, os.O_WRONLY)
            os.dup2(closed, self.fileno())
            os.close(closed)
            return memoryview(data).nbytes
