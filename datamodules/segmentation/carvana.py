"""Data module for Kaggle's Carvana competition: images of cars on a turntable, with masks."""

from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.index.folder_scan import unused_lines
from datamodules.index.pairs import Pair, pair_by_stem
from datamodules.index.problems import Problem
from datamodules.index.splits import group_pairs, is_outside_root, read_rows
from datamodules.samples.cars import ensure_sample_cars
from datamodules.segmentation.datamodule import SegmentDataModule
from datamodules.segmentation.label_map import ClassList
from datamodules.segmentation.summary import DatasetIndex

CAR = r"^(.+)_\d+$"  # <car>_<view>
MASK_SUFFIX = "_mask"
LISTING = "train_masks.csv"
HINT = "this file is not needed and may be removed"


class CarvanaDataModule(SegmentDataModule):
    """Cars and their masks in Kaggle's layout, split by car.

    ``root`` holds ``train/<car>_<view>.jpg`` and ``train_masks/<car>_<view>_mask.gif``. An optional
    ``train_masks.csv`` beside them lists the images that must exist. Whole cars are held out for validation: 63 of
    the full set's 318 as in the lesson, but chosen by hash, because the lesson's first 63 by name depend on having
    all of them.

    Args:
        image_dir: folder of the images below ``root``.
        mask_dir: folder of the masks below ``root``.
        sample_cars: number of cars that are rendered if no root is named.
        sample_views: images of each of them, at equal angles.
        sample_seed: seed of their designs.
        sample_varied: whether they are of a wider choice than the sample's: more shapes and paints, other walls.
        **options: of ``SegmentDataModule``.
    """

    def __init__(
        self,
        *,
        image_dir: str = "train",
        mask_dir: str = "train_masks",
        sample_cars: int = 12,
        sample_views: int = 16,
        sample_seed: int = 0,
        sample_varied: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(class_list=ClassList(names=("car",)), layout=None, **options)
        if sample_cars < 2 or sample_views < 1 or sample_seed < 0:
            raise ValueError(
                "sample_cars must be at least 2, sample_views 1 and sample_seed 0, "
                f"not {sample_cars}, {sample_views} and {sample_seed}"
            )
        self._image_dir, self._mask_dir = image_dir, mask_dir
        self._sample = {"cars": sample_cars, "views": sample_views, "seed": sample_seed}
        self._sample_varied = sample_varied

    def sample_root(self) -> Path:
        """A set of drawn cars, written into the cache folder on the first call."""
        return ensure_sample_cars(
            self._cache_folder / "sample_cars",
            varied=self._sample_varied,
            **self._sample,
        )

    def find_pairs(self, root: Path) -> DatasetIndex:
        """Pairs images and masks, and groups them by the car in their names.

        Raises:
            DataError: if a folder or the listing cannot be read.
        """
        images, masks = root / self._image_dir, root / self._mask_dir
        for folder in (images, masks):
            if not folder.is_dir():
                raise DataError(
                    f"{root} has no folder {folder.name}: Carvana's layout is {self._image_dir}/<car>_<view>.jpg "
                    f"beside {self._mask_dir}/<car>_<view>{MASK_SUFFIX}.gif; "
                    f"for your own images use FolderDataModule"
                )
        pairs, problems = pair_by_stem(root, images, masks, mask_suffix=MASK_SUFFIX)
        groups, nameless = group_pairs(pairs, CAR)
        listing = root / LISTING
        unlisted = _compare_with_listing(listing, pairs) if listing.is_file() else []
        return DatasetIndex(
            pairs=pairs,
            groups=groups,
            splits={},
            problems=[*problems, *nameless, *unlisted],
            notes=unused_lines(root, (images, masks)),
        )


def _compare_with_listing(listing: Path, pairs: list[Pair]) -> list[Problem]:
    """Differences between Kaggle's list and the folder: an incomplete download, or images of another origin."""
    problems: list[Problem] = []
    keys = {pair.key: pair.name for pair in pairs}
    listed: set[str] = set()
    for line, (name,) in read_rows(listing, ("img",)):
        where = f"{LISTING} line {line}"
        if is_outside_root(name):
            problems.append(Problem("row that points outside the root", where, name))
        elif Path(name).stem not in keys:
            problems.append(Problem("row without an image", where, f"{name}; {HINT}"))
        else:
            listed.add(Path(name).stem)
    unknown = [name for key, name in keys.items() if key not in listed]
    return problems + [Problem(f"image that {LISTING} does not list", name, HINT) for name in unknown]
