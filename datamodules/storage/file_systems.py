"""File systems behind URLs, such as ``s3://bucket/images``, by fsspec.

``pathlib`` joins the two slashes of a URL, so ``Path("s3://bucket/images")`` is ``s3:/bucket/images``; ``url_of``
returns the URL. File systems are opened where they are used and never kept: fsspec keeps one for each process, and the
connections of one process must not be used in another that was forked from it.
"""

import re
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from datamodules.errors import DataError

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)")  # two letters at least: one is a drive of Windows
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}  # by scheme
_STATE_FIELDS = ("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "Last-Modified", "mtime", "created")
_PAUSES = (1.0, 4.0)  # seconds before the second and the third attempt

Result = TypeVar("Result")


def url_of(path: Path) -> str | None:
    """The URL that ``path`` was made from; ``None`` if it is the path of a local file.

    >>> url_of(Path("s3://bucket/images")), url_of(Path("file:///tmp/a")), url_of(Path("C:/images"))
    ('s3://bucket/images', 'file:///tmp/a', None)
    """
    match = _URL.fullmatch(path.as_posix())
    return match and f"{match[1]}://{'/' if match[1] == 'file' else ''}{match[2]}"


def as_given(path: Path) -> str:
    """The text for messages: the URL that ``path`` was made from, or the path of a local file.

    >>> as_given(Path("s3://bucket/images")), as_given(Path("images"))
    ('s3://bucket/images', 'images')
    """
    return url_of(path) or str(path)


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL as fsspec opens it, and the path in it.

    Raises:
        DataError: if a package is missing, or there is no file system of this scheme.
    """
    scheme = url.partition("://")[0]
    try:
        import fsspec

        system, path = fsspec.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(scheme, "remote")
        raise DataError(
            f"{url}: {scheme}:// needs a package that is not installed ({error}): pip install '.[{extra}]' in the "
            "folder of Darkroom"
        ) from error
    except ValueError as error:
        raise DataError(f"{url}: cannot be opened ({error}): name a folder or a URL with --data.root") from error
    return system, path


def ask(name: object, call: Callable[[], Result]) -> Result:
    """Calls a function of a file system, up to three times: connections fail for a moment.

    Args:
        name: file or URL, for messages.
        call: the function.

    Raises:
        DataError: if there is no such file, it may not be read, or the third attempt fails as well.
    """
    for pause in (*_PAUSES, None):
        try:
            return call()
        except DataError:
            raise
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
            raise DataError(f"{name}: cannot be read: {reason}") from error
        except Exception as error:  # every file system has errors of its own
            if pause is None:
                raise DataError(f"{name}: cannot be read: {type(error).__name__}: {error}") from error
            time.sleep(pause)
    raise AssertionError("unreachable")


def recorded_state(name: object, info: Mapping[str, Any]) -> tuple[int, int]:
    """Size of a remote file, and a number that changes with its checksum or modification time.

    Args:
        name: file or URL, for messages.
        info: what the file system knows about it.

    Raises:
        DataError: if the size is not known.
    """
    if info.get("size") is None:
        raise DataError(f"{name}: its server does not tell its size: copy it to a folder and name that")
    known = [f"{field} {info[field]}" for field in _STATE_FIELDS if info.get(field) is not None]
    return int(info["size"]), int.from_bytes(blake2b("\n".join(known).encode(), digest_size=7).digest())
