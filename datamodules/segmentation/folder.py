"""Data module for any folders of images and masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.index.pairs import Pair, pair_by_stem
from datamodules.index.problems import Problem
from datamodules.index.splits import Split, group_pairs, groups_across_splits, read_split_file
from datamodules.segmentation.datamodule import SegmentDataModule
from datamodules.segmentation.label_map import ClassList
from datamodules.segmentation.summary import DatasetIndex

SPLIT_FIELD = "{split}"
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class FolderDataModule(SegmentDataModule):
    """Images and masks with the same names, in two folders.

    ``image_dir`` and ``mask_dir`` choose one of three layouts:

    * ``images/`` and ``masks/``: groups are held out for validation, or a split file lists the splits;
    * the same two folders inside ``train/`` and ``val/`` (and ``test/``), which is detected;
    * any other layout, with ``{split}`` in place of train, val or test, such as ``{split}`` and ``{split}annot``.

    Args:
        classes: class names in the order of their numbers in the masks. A single name means foreground against
            everything else, stored as 0 and 1 or 0 and 255.
        ignore: stored value of the pixels that no loss or metric counts (several classes only).
        mask_threshold: smallest stored value that is foreground, for masks with soft edges (one class only).
        image_dir: folder of the images below ``root``, searched at any depth.
        mask_dir: folder of the masks below ``root``, with the same names.
        mask_suffix: what follows the image's name in the name of its mask, such as ``_mask``.
        split_file: CSV with the columns ``name`` and ``split`` (train, val, test), relative to ``root``.
        group_pattern: regular expression searched for in the name. Images with the same match (of the first
            parenthesis, if there is one) form a group, which is never divided between splits.
        **options: of ``SegmentDataModule``.

    Raises:
        DataError: if the class list or the options contradict each other.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | str = ("foreground",),
        ignore: int | None = None,
        mask_threshold: int | None = None,
        image_dir: str = "images",
        mask_dir: str = "masks",
        mask_suffix: str = "",
        split_file: str | None = None,
        group_pattern: str | None = None,
        **options: Any,
    ) -> None:
        class_list = ClassList(
            names=(classes,) if isinstance(classes, str) else tuple(classes), ignore=ignore, threshold=mask_threshold
        )
        super().__init__(class_list=class_list, **options)
        if (SPLIT_FIELD in image_dir) != (SPLIT_FIELD in mask_dir):
            raise DataError(
                f"image_dir '{image_dir}' and mask_dir '{mask_dir}': {SPLIT_FIELD} must be in both or neither"
            )
        if image_dir == mask_dir and not mask_suffix:
            raise DataError(f"images and masks both in '{image_dir}' need a mask_suffix to tell them apart")
        if split_file and SPLIT_FIELD in image_dir:
            raise DataError(
                f"split_file '{split_file}' and {SPLIT_FIELD} in image_dir are two splits: keep one of them"
            )
        self._image_dir, self._mask_dir, self._mask_suffix = image_dir, mask_dir, mask_suffix
        self._split_file, self._group_pattern = split_file, group_pattern

    def find_pairs(self, root: Path) -> DatasetIndex:
        """Pairs images and masks, and reads the split that comes with them.

        Raises:
            DataError: if a folder is missing or the split file cannot be read.
        """
        image_dir, mask_dir = self._layout(root)
        problems: list[Problem] = []
        pairs: list[Pair] = []
        splits: dict[str, Split] = {}
        for split in SPLITS if SPLIT_FIELD in image_dir else (None,):
            images, masks = (root / text.replace(SPLIT_FIELD, split or "") for text in (image_dir, mask_dir))
            if split == "test" and not (images.is_dir() and masks.is_dir()):
                continue  # published test sets often come without masks
            _require(root, images, masks)
            part, wrong = pair_by_stem(root, images, masks, mask_suffix=self._mask_suffix)
            pairs += part
            problems += wrong
            splits |= {pair.name: split for pair in part} if split else {}
        if self._split_file:
            splits, wrong = read_split_file(root / self._split_file, pairs)
            problems += wrong
        groups, wrong = group_pairs(pairs, self._group_pattern)
        problems += [*wrong, *groups_across_splits(groups, splits)]
        return DatasetIndex(pairs=pairs, groups=groups, splits=splits, problems=problems)

    def _layout(self, root: Path) -> tuple[str, str]:
        """The two folders, inside ``{split}`` if ``train/`` holds them."""
        inside = f"{SPLIT_FIELD}/{self._image_dir}", f"{SPLIT_FIELD}/{self._mask_dir}"
        whole, split = root / self._image_dir, root / inside[0].replace(SPLIT_FIELD, "train")
        if SPLIT_FIELD in self._image_dir or self._split_file or not split.is_dir():
            return self._image_dir, self._mask_dir
        if whole.is_dir():
            raise DataError(
                f"{root} holds both {self._image_dir} and train/{self._image_dir}: say which with --data.image_dir "
                f"and --data.mask_dir"
            )
        return inside


def _require(root: Path, *folders: Path) -> None:
    missing = [folder.relative_to(root).as_posix() for folder in folders if not folder.is_dir()]
    if missing:
        there = ", ".join(sorted(entry.name for entry in root.iterdir() if entry.is_dir())) or "none"
        raise DataError(
            f"{root} has no folder {' and no folder '.join(missing)} (its folders: {there}): "
            f"name yours with --data.image_dir and --data.mask_dir"
        )
