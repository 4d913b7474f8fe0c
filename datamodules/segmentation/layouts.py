"""Finds where the images and the masks of a data set are, from the names of its folders and files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from datamodules.errors import DataError
from datamodules.index.folder_scan import list_images
from datamodules.index.pairs import key_below
from datamodules.index.splits import SPLIT_NAMES, Split
from datamodules.segmentation import voc

SPLIT_FIELD = "{split}"
#: Names of the folder of each split, in lower case.
SPLIT_FOLDERS: dict[Split, tuple[str, ...]] = {
    split: tuple(name for name, known in SPLIT_NAMES.items() if known == split) for split in get_args(Split)
}
CARVANA_GROUP = r"^(.+)_\d+$"  # <car>_<view>

_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
_MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "annotation", "segmentationclass", "gt")
_MASK_SUFFIXES = ("", "_mask", "_masks", "-mask", "_seg", "_segmentation", "_label", "_labels", "_gt", "_L", "_P")

KNOWN_LAYOUTS = """\
  two folders               folders of splits         CamVid                Carvana
  images/a.jpg              train/images/a.jpg        train/a.jpg           train/car1_01.jpg
  masks/a.png (a_mask.png)  train/masks/a.png         trainannot/a.png      train_masks/car1_01_mask.gif
                            val/images/b.jpg          val/b.jpg
  splits inside             val/masks/b.png           valannot/b.png        one folder per split
  images/train/a.jpg                                                        train/a.jpg
  masks/train/a.png         one folder                Pascal VOC            train/a_mask.png
  images/val/b.jpg          a.jpg                     JPEGImages/a.jpg      val/b.jpg
  masks/val/b.png           a_mask.png (_label, _gt)  SegmentationClass/    val/b_mask.png
                                                      ImageSets/Segmentation/train.txt, val.txt"""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where images and masks are below the root.

    Args:
        image_dir: folder of the images; may contain ``{split}``.
        mask_dir: folder of the masks; contains ``{split}`` if ``image_dir`` does.
        mask_suffix: what follows the image's name in the name of its mask.
        group_pattern: groups that are never divided between splits; see ``FolderDataModule``.
        voc: whether it is Pascal VOC's: lists define the splits, and images without a mask are left out.
    """

    image_dir: str
    mask_dir: str
    mask_suffix: str
    group_pattern: str | None = None
    voc: bool = False

    def __str__(self) -> str:
        """Both folders with the suffix of the masks."""
        suffix = f", masks are called NAME{self.mask_suffix}" if self.mask_suffix else ""
        if self.voc:
            return f"Pascal VOC, images in {self.image_dir}, masks in {self.mask_dir}, splits in {voc.LISTS}"
        if self.image_dir == self.mask_dir:
            return f"images and masks in {self.image_dir}{suffix}"
        return f"images in {self.image_dir}, masks in {self.mask_dir}{suffix}"


def is_carvana(root: Path) -> bool:
    """Whether ``root`` has the folders of Kaggle's Carvana competition, and no validation folder beside them."""
    folders = _folders(root)
    return {"train", "train_masks"} <= folders.keys() and not folders.keys() & set(SPLIT_FOLDERS["val"])


def find_layout(root: Path, mask_suffix: str | None = None) -> Layout:
    """Finds the layout of a data set.

    Args:
        root: folder of the data.
        mask_suffix: suffix of the masks; ``None`` finds it.

    Raises:
        DataError: if no known layout fits, or several do; the message lists the known layouts.
    """
    found = _fitting_layouts(root, mask_suffix)
    if len(found) == 1:
        return found[0]
    if found:
        choices = "; or ".join(str(layout) for layout in found)
        raise DataError(
            f"{root} fits several layouts: {choices}. Choose with --data.image_dir and --data.mask_dir, for example "
            f"--data.image_dir '{found[0].image_dir}' --data.mask_dir '{found[0].mask_dir}'"
        )
    names = sorted(folder.name for folder in _folders(root).values())
    inner = next((root / name for name in names if _fitting_layouts(root / name, mask_suffix)), None)
    hint = f" Use --data.root {inner}." if inner else ""
    raise DataError(
        f"{root} has no layout that is known (its folders: {', '.join(names) or 'none'}).{hint} Known layouts:\n"
        f"{KNOWN_LAYOUTS}\nFor any other, name the folders with --data.image_dir and --data.mask_dir ({SPLIT_FIELD} "
        f"stands for train, val and test)"
    )


def split_folders(root: Path, image_dir: str, mask_dir: str) -> dict[Split, tuple[Path, Path]]:
    """The folders of images and masks of each split whose image folder exists.

    Args:
        root: folder of the data.
        image_dir: contains ``{split}``.
        mask_dir: contains ``{split}``.

    Raises:
        DataError: if a split has two folders, such as ``val`` and ``valid``.
    """
    found: dict[Split, tuple[Path, Path]] = {}
    for split, names in SPLIT_FOLDERS.items():
        candidates = [
            (root / image_dir.replace(SPLIT_FIELD, name), root / mask_dir.replace(SPLIT_FIELD, name))
            for spelling in names
            for name in (spelling, spelling.capitalize())
        ]
        existing = [pair for pair in candidates if pair[0].is_dir()]
        distinct = [
            pair for index, pair in enumerate(existing) if not any(pair[0].samefile(one) for one, _ in existing[:index])
        ]
        if len(distinct) > 1:
            raise DataError(f"{distinct[0][0]} and {distinct[1][0]} are both the split '{split}': keep one of them")
        if distinct:
            found[split] = distinct[0]
    return found


def _folders(root: Path) -> dict[str, Path]:
    """Visible folders below ``root`` by lower-case name."""
    with os.scandir(root) as entries:  # asks the disk about links only, not about every file
        return {entry.name.lower(): root / entry.name for entry in entries if entry.name[0] != "." and entry.is_dir()}


def _fitting_layouts(root: Path, mask_suffix: str | None) -> list[Layout]:
    if is_carvana(root):
        return [Layout(image_dir="train", mask_dir="train_masks", mask_suffix="_mask", group_pattern=CARVANA_GROUP)]
    if voc.is_voc(root):
        return [Layout(image_dir=voc.IMAGES, mask_dir=voc.MASKS, mask_suffix="", voc=True)]
    pairs = [*_separate_folders(root), *_split_first(root)] or [(".", ".")]
    layouts = []
    for image_dir, mask_dir in pairs:
        images, masks = _training_folders(root, image_dir, mask_dir)
        suffix = _find_suffix(images, masks) if mask_suffix is None else mask_suffix
        if suffix or image_dir != mask_dir:
            layouts.append(Layout(image_dir=image_dir, mask_dir=mask_dir, mask_suffix=suffix))
    return layouts


def _separate_folders(root: Path) -> list[tuple[str, str]]:
    """``images`` and ``masks``, with or without folders of splits in them."""
    folders = _folders(root)
    images = next((folders[name].name for name in _IMAGE_FOLDERS if name in folders), None)
    masks = next((folders[name].name for name in _MASK_FOLDERS if name in folders), None)
    if images is None or masks is None:
        return []
    if _train_folder(root / images) and _train_folder(root / masks):
        return [(f"{images}/{SPLIT_FIELD}", f"{masks}/{SPLIT_FIELD}")]
    return [(images, masks)]


def _split_first(root: Path) -> list[tuple[str, str]]:
    """Folders of splits with images and masks in them, or with a folder of masks beside each."""
    train = _train_folder(root)
    if train is None:
        return []
    inside = _separate_folders(train)
    if inside:
        return [(f"{SPLIT_FIELD}/{images}", f"{SPLIT_FIELD}/{masks}") for images, masks in inside]
    endings = ("annot", "_labels", "_masks", "_mask")
    beside = next((ending for ending in endings if (root / f"{train.name}{ending}").is_dir()), "")
    return [(SPLIT_FIELD, f"{SPLIT_FIELD}{beside}")]


def _train_folder(root: Path) -> Path | None:
    folders = _folders(root)
    return next((folders[name] for name in SPLIT_FOLDERS["train"] if name in folders), None)


def _training_folders(root: Path, image_dir: str, mask_dir: str) -> tuple[Path, Path]:
    if SPLIT_FIELD not in image_dir:
        return root / image_dir, root / mask_dir
    return split_folders(root, image_dir, mask_dir)["train"]


def _find_suffix(images: Path, masks: Path) -> str:
    """The suffix with which most images have a mask; empty if no image has one."""
    stems = _stems(images)
    mask_stems = stems if masks == images else _stems(masks)
    counts = {
        suffix: sum(stem + suffix in mask_stems for stem in stems)
        for suffix in _MASK_SUFFIXES
        if suffix or masks != images
    }
    best = max(counts, key=lambda suffix: counts[suffix])
    return best if counts[best] else ""


def _stems(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    return {key_below(folder, path) for path in list_images(folder)}
