"""Pairs images with masks in tar shards by webdataset's convention.

The files of a sample share their name up to its first dot, and lie in one shard: ``a/0001.jpg`` with
``a/0001.mask.png``, or ``a/0001.jpg`` with ``a/0001.png``.
"""

import posixpath
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.images.splits import split_of_folder
from datamodules.index.pairs import IMAGE_WITHOUT_MASK, Pair, name_below
from datamodules.index.problems import Problem
from datamodules.index.splits import Split
from datamodules.io.stored_file import StoredFile
from datamodules.storage.stored_images import StoredImages
from datamodules.storage.tar_member import TarMember

#: What follows the first dot in the name of a mask, before its suffix.
MASK_WORDS = ("mask", "masks", "seg", "segmentation", "label", "labels", "gt", "annotation")
_LOSSY = frozenset({"jpg", "jpeg", "jpe", "jfif"})  # a mask is never one of these
_WANTED = "call the files of a sample NAME.jpg and NAME.mask.png"


def pair_in_shards(stored: StoredImages, *, mask_word: str | None = None) -> tuple[list[Pair], list[Problem]]:
    """Pairs the images of every sample.

    Args:
        stored: the images in tar shards.
        mask_word: what follows the first dot in the name of a mask; ``None`` is any of ``MASK_WORDS``, or nothing if
            the image is a JPEG and the mask is none.

    Returns:
        The pairs sorted by shard and name, and a problem for each sample that is no image with one mask.

    Raises:
        DataError: if the images lie in no shards.
    """
    if not stored.shards:
        raise DataError(
            f"{stored.root}: segmentation reads images and masks from a local folder or from tar shards: pack them "
            "into shards, or copy them"
        )
    words = MASK_WORDS if mask_word is None else (mask_word,)
    pairs: list[Pair] = []
    problems: list[Problem] = []
    for (_, key), files in sorted(_samples(stored.images).items()):
        masks = [file for file in files if _word(file) in words]
        if not masks and mask_word is None and len(files) == 2:
            masks = [file for file in files if not _is_lossy(file)]
        images = [file for file in files if file not in masks]
        name = name_below(stored.root, (images or masks)[0])
        if len(images) == len(masks) == 1:
            pairs.append(Pair(key, name, images[0], masks[0]))
        elif len(files) == 1:
            kind = IMAGE_WITHOUT_MASK if images else "mask without an image"
            problems.append(Problem(kind, name, _WANTED, True))
        else:
            named = ", ".join(file.name for file in files)
            problems.append(Problem("sample that is no image with one mask", name, f"it has {named}; {_WANTED}", True))
    return pairs, problems


def splits_of_shards(pairs: Sequence[Pair]) -> tuple[dict[str, Split], list[Problem]]:
    """The split of each image by the name of its shard, such as ``val-0000.tar``.

    Returns:
        Split by image name, empty unless a shard is named after validation or test; and a problem for each image whose
        shard is named after none, if there are.
    """
    names = {pair.name: _shard_name(pair.image) for pair in pairs}
    by_shard = {shard: split_of_folder(shard) for shard in set(names.values())}
    if not {"val", "test"} & set(by_shard.values()):
        return {}, []
    splits = {name: split for name, shard in names.items() if (split := by_shard[shard]) is not None}
    unnamed = [shard for shard, split in by_shard.items() if split is None] if "val" in by_shard.values() else []
    return splits, [
        Problem("shard in no split", shard, "name it after train, val or test as the others")
        for shard in sorted(unnamed)
    ]


def _samples(files: Sequence[StoredFile]) -> dict[tuple[str, str], list[StoredFile]]:
    """The files of each sample, by shard and key."""
    samples: dict[tuple[str, str], list[StoredFile]] = defaultdict(list)
    for file in files:
        shard, name = _parts(file)
        folder, base = posixpath.split(name)
        samples[shard, posixpath.join(folder, base.partition(".")[0])].append(file)
    return samples


def _parts(file: Path) -> tuple[str, str]:
    """Path of the shard, and name in it."""
    if not isinstance(file, TarMember):
        raise TypeError(f"{file} lies in no shard")
    return file.shard_path, file.as_posix()[len(file.shard_path) + 1 :]


def _shard_name(file: Path) -> str:
    return posixpath.basename(_parts(file)[0])


def _word(file: Path) -> str:
    """What lies between the first dot of a name and its suffix: ``mask`` in ``a.mask.png``."""
    return file.name.partition(".")[2].rpartition(".")[0].lower()


def _is_lossy(file: Path) -> bool:
    return file.suffix[1:].lower() in _LOSSY
