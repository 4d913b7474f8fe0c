"""Kaggle's Carvana cars: images of cars on a turntable, with masks."""

from pathlib import Path
from typing import Literal

from datamodules.cache.places import user_cache_dir
from datamodules.errors import DataError
from datamodules.index.duplicates import OnDuplicates
from datamodules.index.pairs import Pair, pair_by_stem
from datamodules.index.problems import OnBad, Problem
from datamodules.index.splits import SPLIT_SEED, group_pairs, points_outside, read_rows
from datamodules.samples.cars import ensure_sample_cars
from datamodules.segmentation.datamodule import SegmentDataModule
from datamodules.segmentation.labels import Labels
from datamodules.segmentation.summary import Found

CAR = r"^(.+)_\d+$"  # <car>_<view>
MASK_SUFFIX = "_mask"
LISTING = "train_masks.csv"
HINT = "this file is not needed and may be removed"


class CarvanaDataModule(SegmentDataModule):
    """Cars and their masks in Kaggle's layout, split by car.

    Below ``root`` lie ``train/<car>_<view>.jpg`` and ``train_masks/<car>_<view>_mask.gif``. Where there is a
    ``train_masks.csv`` beside them it is taken as the list of the images that must be there; it is not needed.
    Whole cars are held out: 63 of the full set's 318 as in the lesson, though not the same ones, because the
    lesson's first 63 by name depend on having all of them.

    Args:
        root: folder of the data; ``None`` draws a small set of cars into the cache folder.
        image_dir: folder of the images below ``root``.
        mask_dir: folder of the masks below ``root``.
        val_share: share of the cars that validates, rounded down, at least one.
        split_seed: decides which cars validate; apart from ``seed``, so that another run has the same ones.
        keep_pct: share of the images that is used, for quick experiments.
        rotate: augmentation turns by up to this many degrees to either side.
        flip: augmentation mirrors every second image.
        light: augmentation changes brightness and contrast by up to this share.
        cache_gb: gigabytes that the folder of small copies may grow to.
        on_bad: ``"error"`` stops at files that cannot be used; ``"skip"`` leaves them out if they are one in a hundred
            at most, and lists them in the run's folder. What changes during a run always stops it.
        duplicates: ``"warn"`` tells of images that lie in two splits, byte by byte the same; ``"error"`` stops.
        seed: of order and augmentation.
        num_workers: processes that load; ``"auto"`` goes by the number of cores.
        cache_dir: where small copies are kept; ``None`` is the user's cache folder.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        image_dir: str = "train",
        mask_dir: str = "train_masks",
        val_share: float = 0.2,
        split_seed: int = SPLIT_SEED,
        keep_pct: float = 1.0,
        rotate: float = 4.0,
        flip: bool = True,
        light: float = 0.05,
        cache_gb: float = 20.0,
        on_bad: OnBad = "error",
        duplicates: OnDuplicates = "warn",
        seed: int = 0,
        num_workers: int | Literal["auto"] = "auto",
        cache_dir: Path | None = None,
    ) -> None:
        super().__init__(
            labels=Labels(names=("car",)),
            root=root,
            val_share=val_share,
            split_seed=split_seed,
            keep_pct=keep_pct,
            rotate=rotate,
            flip=flip,
            light=light,
            cache_gb=cache_gb,
            on_bad=on_bad,
            duplicates=duplicates,
            seed=seed,
            num_workers=num_workers,
            cache_dir=cache_dir,
        )
        self._image_dir, self._mask_dir = image_dir, mask_dir

    def data_root(self) -> Path:
        """The named folder, or that of the sample cars, drawn if they are not there yet."""
        if self.root is None:
            return ensure_sample_cars((self.cache_dir or user_cache_dir()) / "sample_cars")
        return super().data_root()

    def find(self, root: Path) -> Found:
        """Pairs images and masks, and reads the car out of every name.

        Raises:
            DataError: if a folder or the listing cannot be read.
        """
        images, masks = root / self._image_dir, root / self._mask_dir
        for folder in (images, masks):
            if not folder.is_dir():
                raise DataError(
                    f"{root} has no folder {folder.name}: Carvana's layout is {self._image_dir}/<car>_<view>.jpg "
                    f"beside {self._mask_dir}/<car>_<view>{MASK_SUFFIX}.gif; "
                    f"for images of your own take FolderDataModule"
                )
        pairs, problems = pair_by_stem(root, images, masks, mask_suffix=MASK_SUFFIX)
        groups, nameless = group_pairs(pairs, CAR)
        listing = root / LISTING
        unlisted = _compare(listing, pairs) if listing.is_file() else []
        return Found(pairs=pairs, groups=groups, splits={}, problems=[*problems, *nameless, *unlisted])


def _compare(listing: Path, pairs: list[Pair]) -> list[Problem]:
    """Finds where Kaggle's list and the folder differ: a download cut short, or images of another origin."""
    problems: list[Problem] = []
    keys = {pair.key: pair.name for pair in pairs}
    listed: set[str] = set()
    for line, (name,) in read_rows(listing, ("img",)):
        where = f"{LISTING} line {line}"
        if points_outside(name):
            problems.append(Problem("row that points outside the root", where, name))
        elif Path(name).stem not in keys:
            problems.append(Problem("row without an image", where, f"{name}; {HINT}"))
        else:
            listed.add(Path(name).stem)
    unknown = [name for key, name in keys.items() if key not in listed]
    return problems + [Problem(f"image that {LISTING} does not list", name, HINT) for name in unknown]
