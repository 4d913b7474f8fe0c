"""The one error for data that cannot be used."""

from pathlib import Path


class DataError(ValueError):
    """Something is wrong with the user's data; the message names the file or key and the way out."""


def unwritable(cache: Path, error: OSError) -> DataError:
    """Says that the folder of a cache cannot be written to, and what to do."""
    return DataError(
        f"{cache}: the cache cannot be written ({error.strerror or error}); free some space, or name another folder "
        "with --data.cache_dir FOLDER"
    )
