"""A file behind a URL."""

from datamodules.errors import DataError
from datamodules.io.stored_file import StoredFile
from datamodules.storage.file_systems import ask, file_system


class RemoteFile(StoredFile):
    """The path of a file behind a URL; see ``remote_file``."""

    __slots__ = ("listed", "url")

    url: str
    listed: tuple[int, int]

    def __reduce__(self) -> tuple[object, ...]:
        return remote_file, (str(self), self.url, self.listed)

    def state(self) -> tuple[int, int]:
        """Size and state when the folder was listed; the server is not asked again."""
        return self.listed

    def read_bytes(self) -> bytes:
        """All bytes of the file.

        Raises:
            DataError: if it cannot be read, or its size has changed.
        """

        def read() -> bytes:
            system, path = file_system(self.url)
            return bytes(system.cat_file(path))

        content = ask(self, read)
        if len(content) != self.listed[0]:
            raise DataError(f"{self}: its size has changed since the run began: restore the file, or start a new run")
        return content


def remote_file(path: str, url: str, listed: tuple[int, int]) -> RemoteFile:
    """A file behind a URL.

    Args:
        path: its path for names and messages.
        url: its URL.
        listed: its size and state, see ``recorded_state``.
    """
    file = RemoteFile(path)
    file.url, file.listed = url, listed
    return file
