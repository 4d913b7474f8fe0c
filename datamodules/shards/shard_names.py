"""The tar files that ``--data.root`` names: a pattern with braces, one tar file, or a folder of them."""

import re
from itertools import product
from pathlib import Path

from datamodules.errors import DataError
from datamodules.index.folder_scan import name_some, scan_folder
from datamodules.shards.tar_index import compressed_error

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 1_000_000  # shards of one pattern
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")


def find_shards(root: Path) -> tuple[Path, list[Path]] | None:
    """Finds the tar files below ``root``.

    Returns:
        The folder that names are relative to, and the tar files, sorted; ``None`` if ``root`` names none, as a folder
        that holds images does.

    Raises:
        DataError: if files of a pattern do not exist, or the archives are compressed.
    """
    if is_pattern(root):
        return _matching(root)
    if root.is_dir():
        scan = scan_folder(root)
        if scan.files:
            return None
        shards = [path for path in scan.others if path.suffix.lower() == ".tar"]
        _refuse_compressed(scan.others)
        return (root.absolute(), [path.absolute() for path in shards]) if shards else None
    _refuse_compressed([root])
    return (root.absolute().parent, [root.absolute()]) if root.suffix.lower() == ".tar" and root.exists() else None


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


def _matching(pattern: Path) -> tuple[Path, list[Path]]:
    names = expand_braces(str(pattern))
    shards = sorted(Path(name).absolute() for name in dict.fromkeys(names))
    _refuse_compressed(shards)
    missing = [str(path) for path in shards if not path.is_file()]
    if missing:
        raise DataError(
            f"{pattern}: {len(missing)} of its {len(shards)} files do not exist ({name_some(missing)}): correct "
            "--data.root"
        )
    if other := [path for path in shards if path.suffix.lower() != ".tar"]:
        raise DataError(f"{pattern}: only tar files can be named with braces, not {other[0].name}")
    return Path(str(pattern).partition("{")[0] + "x").absolute().parent, shards


def _refuse_compressed(paths: list[Path]) -> None:
    for path in paths:
        if path.name.lower().endswith(_COMPRESSED):
            raise compressed_error(path, path.suffix.removeprefix("."))
