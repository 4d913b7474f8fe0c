"""The split of each image: by folders named after splits, else by a hash of the names."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datamodules.errors import DataError
from datamodules.images.check import ImageFile
from datamodules.images.packed_images import pack_images
from datamodules.index.splits import Split, held_out, subsample

#: Names of folders that are splits, without case: ``train``, ``val2017``, ``DIV2K_valid_HR``; and of tar shards.
_SPLIT_FOLDER = re.compile(
    r"(train|val|test)(?:20\d\d)?|(training|valid|validation|testing)|.+_(train|valid|val|test)_hr(?:_.+)?"
    r"|(?:.+[-_])?(train|training|val|valid|validation|test|testing)(?:[-_]?\d+)?\.tar"
)
_SPLITS: dict[str, Split] = {
    **{"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "testing": "test"},
}
_LOW_RES = re.compile(r"(?<![a-z])LR(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ImageSplits:
    """Checked images by split.

    Args:
        root: the data's root.
        splits: images of each split after ``keep_pct``; ``test`` equals ``val`` if there are no test images.
    """

    root: Path
    splits: dict[Split, Sequence[ImageFile]]


def split_images(
    root: Path, images: Sequence[ImageFile], *, keep_pct: float, val_share: float | None, seed: int
) -> ImageSplits:
    """Divides images into training, validation and test; see ``split_names``."""
    by_name = {image.name: image for image in images}
    splits = split_names(root, list(by_name), keep_pct=keep_pct, val_share=val_share, seed=seed)
    packed: dict[Split, Sequence[ImageFile]] = {
        split: pack_images(by_name[name] for name in names) for split, names in splits.items()
    }
    return ImageSplits(root=root, splits=packed)


def split_names(
    root: Path, names: Sequence[str], *, keep_pct: float, val_share: float | None, seed: int
) -> dict[Split, list[str]]:
    """Divides images into training, validation and test.

    Folders of splits are those of ``split_of_folder`` at the first depth at which there are any, so also
    ``cats/train`` beside ``dogs/train``. With a folder for validation, the folders are the splits. With one for test
    only, its images are the test split and the validation images are held out of the others. Without either, they are
    held out of all.

    Args:
        root: the data's root.
        names: names of the images to divide.
        keep_pct: fraction of the images that is kept.
        val_share: fraction of the kept images that is held out; ``None`` is ``min(0.01 / keep_pct, 0.1)``.
        seed: selects the images to keep and to hold out.

    Returns:
        The names by split after ``keep_pct``; ``test`` equals ``val`` if there are no test images.

    Raises:
        DataError: if a split has no image, or only some of the images lie in folders of splits.
    """
    by_folder = _splits_by_folder(names)
    found = {split for split in by_folder.values() if split}
    unassigned = [name for name, split in by_folder.items() if split is None]
    if unassigned and ("val" in found or len(found) == 2):
        raise DataError(
            f"{root} has images in folders for {' and '.join(sorted(found))}, and {len(unassigned)} beside them (such "
            f"as {unassigned[0]}): move each into one of these folders, or all images into one folder"
        )
    splits: dict[Split, list[str]] = {"train": [], "val": [], "test": []}
    official = "val" in found or ("test" in found and len(set(by_folder.values())) > 1)
    for name in names:
        splits[(by_folder[name] if official else None) or "train"].append(name)
    splits = {
        split: subsample(chosen, share=keep_pct, name=str, seed=seed) if chosen else []
        for split, chosen in splits.items()
    }
    if "val" not in found:
        share = min(0.01 / keep_pct, 0.1) if val_share is None else val_share
        val = held_out(splits["train"], share=share, seed=seed)
        splits["val"] = [name for name in splits["train"] if name in val]
        splits["train"] = [name for name in splits["train"] if name not in val]
    splits["test"] = splits["test"] or splits["val"]
    for split, chosen in splits.items():
        if not chosen and (split != "train" or val_share != 1):
            raise DataError(f"{root} has no image in the split '{split}': add at least one")
    return splits


def split_of_folder(name: str, others: Collection[str] = ()) -> Split | None:
    """The split that the name of a folder or a tar shard stands for, or ``None``.

    Args:
        name: name of the folder or the tar shard.
        others: case-folded names of the other folders. One that differs only by the word for another split, such as
            ``testa`` from ``trainA``, makes both folders of splits.

    >>> [split_of_folder(name) for name in ("train", "val2017", "Validation", "DIV2K_valid_HR", "trains", "test_tube")]
    ['train', 'val', 'val', 'val', None, None]
    >>> [split_of_folder(name) for name in ("train-0015.tar", "imagenet-val-000.tar", "shard-0.tar")]
    ['train', 'val', None]
    >>> split_of_folder("testA", ["traina", "trainb", "testb"]), split_of_folder("test_tube", ["train"])
    ('test', None)
    """
    folded = name.casefold()
    if match := _SPLIT_FOLDER.fullmatch(folded):
        return _SPLITS[next(filter(None, match.groups()))]
    for word, split in _SPLITS.items():
        counterparts = {folded.replace(word, other) for other, of in _SPLITS.items() if of != split}
        if word in folded and not counterparts.isdisjoint(others):
            return split
    return None


def is_low_res_copy(folder: Path, folders: Collection[Path]) -> bool:
    """Whether a folder holds the low-resolution copies of a folder beside it, such as ``DIV2K_train_LR_bicubic``.

    Its name contains ``LR``, and a folder beside it begins in the same way with ``HR`` in place of it.

    Args:
        folder: the folder.
        folders: all folders of images.
    """
    match = _LOW_RES.search(folder.name)
    if match is None:
        return False
    high_res = re.compile(rf"{re.escape(folder.name[: match.start()])}HR(?![a-z0-9]).*", re.IGNORECASE)
    return any(high_res.fullmatch(other.name) and other.parent == folder.parent for other in folders)


def _splits_by_folder(names: Sequence[str]) -> dict[str, Split | None]:
    """The split of each image by its folder, by name."""
    folders = {name: PurePosixPath(name).parent.parts for name in names}
    for depth in range(max(map(len, folders.values()))):
        at_depth = {parts[depth] for parts in folders.values() if len(parts) > depth}
        folded = {folder.casefold() for folder in at_depth}
        splits = {folder: split_of_folder(folder, folded) for folder in at_depth}
        if any(splits.values()):
            return {name: splits[parts[depth]] if len(parts) > depth else None for name, parts in folders.items()}
    return dict.fromkeys(names)
