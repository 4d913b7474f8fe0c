"""Images in tar shards or behind URLs, as paths that the rest of the data code reads like files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from os.path import splitext
from pathlib import Path

from datamodules.cache.encodings import file_state
from datamodules.errors import DataError
from datamodules.index.folder_scan import count_suffixes
from datamodules.io.image_file import SUFFIXES
from datamodules.io.stored_file import StoredFile
from datamodules.loading.parallel import map_files, raise_together
from datamodules.storage.remote_file import RemoteFile
from datamodules.storage.remote_folder import find_remote
from datamodules.storage.remote_shard import RemoteShard
from datamodules.storage.shard_names import find_shards
from datamodules.storage.tar_index import Member, load_index
from datamodules.storage.tar_member import LocalShard, TarMember, TarShard, tar_member


@dataclass(frozen=True, kw_only=True)
class StoredImages:
    """Images that are no local files.

    Args:
        root: the folder that names are relative to; for a URL as ``pathlib`` writes it.
        shards: number of tar shards; 0 if the images are files behind a URL.
        images: files with a suffix of an image, sorted by shard and name.
        others: all other files.
        remote_bytes: bytes of all remote shards together.
    """

    root: Path
    shards: int
    images: Sequence[StoredFile]
    others: Sequence[Path]
    remote_bytes: int = 0

    def describe(self, *, limit_gb: float, window: int | None) -> list[str]:
        """Lines for the summary: the number of shards and images, the files that are no images, and copies.

        Args:
            limit_gb: gigabytes (1e9 bytes) of copies of remote shards that are kept.
            window: shards that are read at a time; ``None`` for all.
        """
        where = f"tar shards: {self.shards} with" if self.shards else "behind a URL:"
        left_out = f"; left out, no images by their suffix: {count_suffixes(self.others)}" if self.others else ""
        lines = [f"  {where} {len(self.images)} image files{left_out}"]
        gigabytes = self.remote_bytes / 1e9
        if gigabytes > limit_gb:
            # half: while one window ends, the loader processes already read the next one
            most = max(1, int(limit_gb / gigabytes * self.shards / 2))
            way_out = f"; set --data.shard_window {most} or less, or raise it" if (window or self.shards) > most else ""
            lines.append(
                f"  remote shards: {gigabytes:.3g} GB, of which --data.cache_gb keeps {limit_gb:g} GB of copies; the "
                f"others are copied again in every epoch{way_out}"
            )
        return lines


def open_stored(root: Path, *, results: Path, copies: Path, limit_gb: float, workers: int) -> StoredImages | None:
    """Finds the images in the tar shards or behind the URL that ``root`` names.

    The headers of a shard are read once, and its index is stored.

    Args:
        root: a URL, a pattern with braces, a tar file, or a folder of tar files.
        results: folder of stored results.
        copies: folder of the copies of remote shards.
        limit_gb: gigabytes (1e9 bytes) of these copies.
        workers: processes that share the work.

    Returns:
        ``None`` if ``root`` names neither tar files nor a URL.

    Raises:
        DataError: naming the shards that cannot be used, or if there is no image.
    """
    found = find_remote(root) or find_shards(root)
    if found is None:
        return None
    if not found.shards:
        return StoredImages(root=found.root, shards=0, images=found.images, others=found.others)
    opening = partial(_open, results, copies, int(limit_gb * 1e9))
    opened = map_files(opening, found.shards, workers=workers, title="reading tar headers")
    raise_together(opened)
    images: list[TarMember] = []
    others: list[Path] = []
    for path, one in zip(found.shards, opened, strict=True):
        if isinstance(one, DataError):
            continue  # raised above
        shard, members = one
        shard_path = path.as_posix()
        for name, start, length in sorted(members):
            if splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122 - a third of the time of Path.suffix
                images.append(tar_member(shard_path, name, shard, start, length))
            else:
                others.append(Path(f"{shard_path}/{name}"))
    if not images:
        raise DataError(
            f"the {len(found.shards)} tar file(s) of {root} hold no images: name tar files of images "
            f"({', '.join(sorted(SUFFIXES))}) with --data.root"
        )
    remote_bytes = sum(path.listed[0] for path in found.shards if isinstance(path, RemoteFile))
    return StoredImages(
        root=found.root, shards=len(found.shards), images=images, others=others, remote_bytes=remote_bytes
    )


def samples_by_shard(paths: Iterable[Path]) -> list[int]:
    """Number of consecutive files that lie in the same shard; empty if one lies in none."""
    shards = [path.shard if isinstance(path, TarMember) else None for path in paths]
    return [] if None in shards else [len(list(group)) for _, group in groupby(shards)]


def _open(results: Path, copies: Path, limit: int, path: Path) -> tuple[TarShard, list[Member]]:
    if isinstance(path, RemoteFile):
        remote = RemoteShard(path.url, path.listed, copies, limit)
        return remote, load_index(path, results, local=remote.local)
    return LocalShard(path, file_state(path)), load_index(path, results)
