"""Finds images or tar shards behind a URL."""

import posixpath
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.index.folder_scan import count_suffixes
from datamodules.io.image_file import SUFFIXES
from datamodules.storage.file_systems import ask, file_system, recorded_state, url_of
from datamodules.storage.remote_file import RemoteFile, remote_file
from datamodules.storage.shard_names import Found, expand_braces, refuse_compressed

_REQUESTS = 16  # at a time


def find_remote(root: Path) -> Found | None:
    """Finds the tar files, or else the images, that a URL names.

    Args:
        root: a pattern with braces, a tar file, or a folder, which is searched at any depth.

    Returns:
        ``None`` if ``root`` is no URL.

    Raises:
        DataError: if a package is missing, the server does not answer, a file does not exist, or there are no images.
    """
    url = url_of(root)
    if url is None:
        return None
    if "{" in url:
        urls = sorted(dict.fromkeys(expand_braces(url)))
        refuse_compressed([Path(one) for one in urls])
        with ThreadPoolExecutor(_REQUESTS) as pool:
            shards = list(pool.map(_single, urls))
        return Found(Path(f"{url.partition('{')[0]}x").parent, shards)
    refuse_compressed([Path(url)])
    if url.endswith(".tar"):
        return Found(Path(url).parent, [_single(url)])
    return _folder(url)


def _single(url: str) -> RemoteFile:
    """One file.

    Raises:
        DataError: if it does not exist.
    """

    def info() -> Mapping[str, Any]:
        system, path = file_system(url)
        found: Mapping[str, Any] = system.info(path)
        return found

    return remote_file(str(Path(url)), url, recorded_state(url, ask(url, info)))


def _folder(url: str) -> Found:
    """All tar files in a folder, or else all images.

    Raises:
        DataError: if it cannot be listed, or holds neither.
    """
    system, folder = file_system(url)
    listed: dict[str, Mapping[str, Any]] = ask(url, lambda: system.find(folder, detail=True))
    root, start = Path(url), folder.rstrip("/") + "/"
    images: list[RemoteFile] = []
    others: list[RemoteFile] = []
    for path, info in sorted(listed.items()):
        name = path.removeprefix(start)
        if not path.startswith(start) or any(part.startswith(".") for part in name.split("/")):
            continue
        file = remote_file(f"{root}/{name}", system.unstrip_protocol(path), recorded_state(path, info))
        (images if posixpath.splitext(name)[1].lower() in SUFFIXES else others).append(file)
    if images:
        return Found(root, [], images, others)
    refuse_compressed(others)
    if shards := [file for file in others if file.suffix.lower() == ".tar"]:
        return Found(root, shards)
    found = f", only {count_suffixes(others)}" if others else ""
    raise DataError(
        f"{url} holds no images and no tar files{found}: name a folder of images ({', '.join(sorted(SUFFIXES))}), or "
        "tar files of images, with --data.root"
    )
