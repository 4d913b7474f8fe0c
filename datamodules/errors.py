"""The error for data that cannot be used."""

from pathlib import Path


class DataError(ValueError):
    """The user's data cannot be used; the message names the file or option, what is wrong, and what to do."""


class LoaderTimeoutError(RuntimeError):
    """The loader processes do not return a batch; the message names its files."""


def unwritable(cache: Path, error: OSError) -> DataError:
    """The error for a cache folder that cannot be written to."""
    return DataError(
        f"{cache}: the cache cannot be written ({error.strerror or error}); free some space, or name another folder "
        "with --data.cache_dir FOLDER"
    )
