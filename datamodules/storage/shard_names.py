"""The tar files that ``--data.root`` names: a pattern with braces, one tar file, or a folder of them."""

import os
import re
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DataError
from datamodules.index.folder_scan import name_some, scan_folder
from datamodules.io.stored_file import StoredFile
from datamodules.storage.tar_index import compressed_error

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 1_000_000  # shards of one pattern
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")


class Found(NamedTuple):
    """What ``--data.root`` names.

    Args:
        root: the folder that names are relative to.
        shards: tar files, sorted.
        images: images that lie in no tar file, sorted; only if there are no shards.
        others: all other files.
    """

    root: Path
    shards: Sequence[Path]
    images: Sequence[StoredFile] = ()
    others: Sequence[Path] = ()


def find_shards(root: Path) -> Found | None:
    """Finds the tar files that ``root`` names: at any depth of a folder, if it has some itself.

    Returns:
        ``None`` if ``root`` names none, as a folder that holds images does.

    Raises:
        DataError: if files of a pattern do not exist, or the archives are compressed.
    """
    if is_pattern(root):
        return _matching(root)
    if root.is_dir():
        if not _has_archives(root):  # scanning a folder of a million images takes seconds
            return None
        scan = scan_folder(root)
        if scan.files:
            return None
        shards = [path for path in scan.others if path.suffix.lower() == ".tar"]
        refuse_compressed(scan.others)
        return Found(root.absolute(), [path.absolute() for path in shards]) if shards else None
    refuse_compressed([root])
    whole = root.absolute()
    return Found(whole.parent, [whole]) if root.suffix.lower() == ".tar" and root.is_file() else None


def is_pattern(root: Path) -> bool:
    """Whether ``root`` is a pattern with braces and no file or folder of that name exists."""
    return _BRACES.search(str(root)) is not None and not root.exists()


def expand_braces(pattern: str) -> list[str]:
    """Replaces each pair of braces by a range of numbers or by words, as shells do.

    Args:
        pattern: text with ``{first..last}`` or ``{word,word}``. Numbers have as many digits as the first.

    Raises:
        DataError: if the content of braces is neither, or there are more than a million names.

    >>> expand_braces("a-{08..10}.tar"), expand_braces("{train,val}-{0..1}.tar")
    (['a-08.tar', 'a-09.tar', 'a-10.tar'], ['train-0.tar', 'train-1.tar', 'val-0.tar', 'val-1.tar'])
    """
    pieces = _BRACES.split(pattern)  # text and contents in turn
    choices = [[piece] if index % 2 == 0 else _choices(piece, pattern) for index, piece in enumerate(pieces)]
    return ["".join(parts) for parts in product(*choices)]


def _choices(content: str, pattern: str) -> list[str]:
    if match := _RANGE.fullmatch(content):
        first, last = int(match[1]), int(match[2])
        if first <= last < first + _MOST:
            return [f"{number:0{len(match[1])}}" for number in range(first, last + 1)]
    elif "," in content:
        return content.split(",")
    raise DataError(
        f"{pattern}: {{{content}}} is neither a range of numbers, such as {{0000..0015}}, nor words, such as "
        "{train,val}: correct it in --data.root"
    )


def _has_archives(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.lower().endswith((".tar", *_COMPRESSED)) for entry in entries)
    except OSError:  # reported when the folder is scanned
        return False


def _matching(pattern: Path) -> Found:
    names = expand_braces(str(pattern))
    shards = sorted(Path(name).absolute() for name in dict.fromkeys(names))
    refuse_compressed(shards)
    missing = [str(path) for path in shards if not path.is_file()]
    if missing:
        raise DataError(
            f"{pattern}: {len(missing)} of its {len(shards)} files do not exist ({name_some(missing)}): correct "
            "--data.root"
        )
    if other := [path for path in shards if path.suffix.lower() != ".tar"]:
        raise DataError(f"{pattern}: only tar files can be named with braces, not {other[0].name}")
    return Found(Path(str(pattern).partition("{")[0] + "x").absolute().parent, shards)


def refuse_compressed(paths: Iterable[Path]) -> None:
    """Refuses compressed archives by their names.

    Raises:
        DataError: naming the first.
    """
    for path in paths:
        if path.name.lower().endswith(_COMPRESSED):
            raise compressed_error(path, path.suffix.removeprefix("."))
