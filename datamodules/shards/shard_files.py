"""The images in tar shards, as paths that the rest of the data code reads like files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from os.path import splitext
from pathlib import Path

from datamodules.cache.encodings import file_state
from datamodules.errors import DataError
from datamodules.io.image_file import SUFFIXES
from datamodules.loading.parallel import map_files, raise_together
from datamodules.shards.shard_names import find_shards
from datamodules.shards.tar_index import Member, load_index
from datamodules.shards.tar_member import LocalShard, Shard, TarMember, tar_member


@dataclass(frozen=True, kw_only=True)
class ShardFiles:
    """The files in tar shards.

    Args:
        root: the folder that names are relative to.
        shards: number of shards.
        images: files with a suffix of an image, sorted.
        others: number of the other files by suffix, for the summary.
    """

    root: Path
    shards: int
    images: Sequence[TarMember]
    others: str

    def describe(self) -> list[str]:
        """Lines for the summary: the number of shards, and the files that are no images."""
        left_out = f"; left out, no images by their suffix: {self.others}" if self.others else ""
        return [f"  tar shards: {self.shards} with {len(self.images)} images{left_out}"]


def open_shards(root: Path, *, results: Path, workers: int) -> ShardFiles | None:
    """Finds the images in the tar shards that ``root`` names; headers are read once, and the index is stored.

    Args:
        root: a pattern with braces, a tar file, or a folder of tar files.
        results: folder of stored results.
        workers: processes that share the work.

    Returns:
        ``None`` if ``root`` names no tar files.

    Raises:
        DataError: naming the shards that cannot be used, or if there is no image in them.
    """
    found = find_shards(root)
    if found is None:
        return None
    folder, paths = found
    indices = map_files(partial(_open, results), paths, workers=workers, title="reading tar headers")
    raise_together(indices)
    images: list[TarMember] = []
    others: Counter[str] = Counter()
    for path, opened in zip(paths, indices, strict=True):
        if isinstance(opened, DataError):
            continue  # raised above
        shard, members = opened
        for name, start, length in sorted(members):
            suffix = splitext(name)[1].lower()  # noqa: PTH122 - a third of the time of Path.suffix
            if suffix in SUFFIXES:
                images.append(tar_member(f"{path}/{name}", shard, start, length))
            else:
                others[suffix or "without suffix"] += 1
    if not images:
        raise DataError(
            f"the {len(paths)} tar file(s) of {root} hold no images: name tar files of images "
            f"({', '.join(sorted(SUFFIXES))}) with --data.root"
        )
    named = ", ".join(f"{count} x {suffix}" for suffix, count in others.most_common(5))
    return ShardFiles(root=folder, shards=len(paths), images=images, others=named)


def samples_by_shard(paths: Iterable[Path]) -> list[int]:
    """Number of consecutive files that lie in the same shard; empty if one lies in none."""
    shards = [path.shard if isinstance(path, TarMember) else None for path in paths]
    return [] if None in shards else [len(list(group)) for _, group in groupby(shards)]


def _open(results: Path, path: Path) -> tuple[Shard, list[Member]]:
    shard = LocalShard(path, file_state(path))
    return shard, load_index(path, results)
