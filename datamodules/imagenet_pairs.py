"""Photographs to pairs: super-resolution and repairs on ImageNet or anyone's pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import Dataset

from datamodules.benchmark import BenchmarkDataset, find_benchmark
from datamodules.degrade import Degradation
from datamodules.errors import DataError
from datamodules.patches import NativePairDataset, PatchDataset, collate_pairs
from datamodules.photo_check import Photo
from datamodules.photographs import PhotographsDataModule
from datamodules.splits import SPLIT_SEED, Split
from datamodules.stage import Stage

_JUDGED = 11  # side of SSIM's window


class ImageNetPairsDataModule(PhotographsDataModule):
    """Pairs of a patch and its small or spoiled copy, cut from any folder of photographs.

    A stage's ``size`` is the side of the small patches, its ``scale`` how many times larger the targets are. Training
    patches are cut anywhere and take one of 8 symmetries; validation looks at the middle of the held-out pictures,
    and ``test`` at the whole of them, or at a ``benchmark``.

    Args:
        root: folder of photographs, in class folders or flat; ``None`` takes some that ship with scikit-image.
        degrade: how the input of a pair is made from its target; ``None`` is the field's bicubic shrinking.
        crops: patches of each training picture in one epoch.
        val_size: side of the small patches in validation; ``None`` is the stage's size.
        small: what becomes of pictures smaller than a patch: left out, or enlarged.
        squash: the lesson's way: squash whole pictures to the patch instead of cutting.
        benchmark: folder of test pictures, HR or HR with LR (``datamodules/benchmark.py``), for ``test``.
        keep_pct: share of the pictures that is used, for quick experiments.
        val_share: share of the kept pictures that validates; ``None`` is the lesson's ``min(0.01 / keep_pct, 0.1)``.
        split_seed: decides which pictures are kept and which validate.
        side: pictures whose shorter side is longer than so many pixels are made so small first, which also takes
            away noise and JPEG's marks from what shall be the truth.
        cache_gb: gigabytes that the folder of small copies may grow to.
        seed: of order and augmentation.
        num_workers: processes that load; ``"auto"`` goes by the number of cores.
        cache_dir: where small copies are kept; ``None`` is the user's cache folder.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        degrade: Degradation | None = None,
        crops: int = 1,
        val_size: int | None = None,
        small: Literal["skip", "enlarge"] = "skip",
        squash: bool = False,
        benchmark: Path | None = None,
        keep_pct: float = 1.0,
        val_share: float | None = None,
        split_seed: int = SPLIT_SEED,
        side: int = 512,
        cache_gb: float = 20.0,
        seed: int = 0,
        num_workers: int | Literal["auto"] = "auto",
        cache_dir: Path | None = None,
    ) -> None:
        super().__init__(
            root=root,
            keep_pct=keep_pct,
            val_share=val_share,
            split_seed=split_seed,
            side=side,
            cache_gb=cache_gb,
            seed=seed,
            num_workers=num_workers,
            cache_dir=cache_dir,
        )
        if crops < 1 or (val_size or 1) < 1:
            raise ValueError(f"crops and val_size must be at least 1, not {crops} and {val_size}")
        self._degrade = degrade or Degradation()
        self._crops, self._val_size, self._small = crops, val_size, small
        self._squash, self._benchmark = squash, benchmark

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Checks the photographs, tells what they are, and makes the small copies that ``stages`` read.

        Raises:
            DataError: naming everything that is wrong with the data.
        """
        if self._benchmark is not None and not stages:
            return  # `test` looks at the benchmark alone
        found = self.photographs()
        if not stages:
            return
        print("\n".join(self.describe()))
        photos = [*found.splits["train"], *found.splits["val"]]
        if self._squash:
            for patch in sorted({self._patch(stage) for stage in stages}):
                self.fill_cache(patch, photos, whole=False)
            return
        for stage in stages:
            for split in ("train", "val"):
                self._large_enough(split, stage, say=True)
        self.fill_cache(self.side, photos, whole=True)

    def setup(self, stage: str) -> None:
        """Reads what the check found."""
        if self._benchmark is None or stage != "test":
            self.photographs()

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Patches from anywhere in the training pictures, in one of 8 symmetries if the stage augments."""
        return self._patches("train", stage, crops=self._crops, random_crop=True, symmetries=stage.augment)

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The middle of the held-out pictures.

        Raises:
            DataError: if it is too small to be judged.
        """
        patch, least = self._patch(stage, "val"), _JUDGED + 2 * scale_of(stage)
        if patch < least:
            raise DataError(
                f"stage '{stage.name}' validates patches of {patch} px, and SSIM needs {least} with the border that is "
                "left out: raise --data.val_size"
            )
        return self._patches("val", stage, crops=1, random_crop=False, symmetries=False)

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The benchmark, or the whole of the held-out pictures."""
        scale = scale_of(stage)
        if self._benchmark is not None:
            pictures = find_benchmark(self._benchmark, scale)
            return BenchmarkDataset(pictures, scale=scale, degrade=self._degrade, seed=self.seed)
        photos = self.photographs().splits["test"]
        return NativePairDataset(
            photos, cache=self.cache, side=self.side, scale=scale, degrade=self._degrade, seed=self.seed
        )

    def collate_test(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Lists pictures."""
        return dict(collate_pairs(samples))

    def _patches(
        self, split: Split, stage: Stage, *, crops: int, random_crop: bool, symmetries: bool
    ) -> Dataset[dict[str, Any]]:
        scale = scale_of(stage)
        return PatchDataset(
            self.photographs().splits[split] if self._squash else self._large_enough(split, stage),
            cache=self.cache,
            side=self.side,
            size=self._patch(stage, split) // scale,
            scale=scale,
            degrade=self._degrade,
            crops=crops,
            random_crop=random_crop,
            symmetries=symmetries,
            squash=self._squash,
            seed=self.seed,
        )

    def _patch(self, stage: Stage, split: Split = "train") -> int:
        """Side of the target patches."""
        own = self._val_size if split == "val" and not self._squash else None
        return (own or stage.size) * scale_of(stage)

    def _large_enough(self, split: Split, stage: Stage, *, say: bool = False) -> list[Photo]:
        """The pictures of a split from which a patch can be cut.

        Raises:
            DataError: if no picture is.
        """
        photos, patch = self.photographs().splits[split], self._patch(stage, split)
        lower = "lower the stage's size" if split == "train" or self._val_size is None else "lower --data.val_size"
        if patch > self.side:
            raise DataError(
                f"stage '{stage.name}' cuts {split} patches of {patch} px out of pictures that are kept with a shorter "
                f"side of {self.side}: raise --data.side, or {lower}"
            )
        large = [photo for photo in photos if photo.shorter(self.side) >= patch]
        number, what = len(photos) - len(large), "left out" if self._small == "skip" else "enlarged"
        if say and number:
            print(f"  stage {stage.name}: {number} of {len(photos)} {split} pictures are below {patch} px: {what}")
        if self._small == "enlarge":
            return photos
        if not large:
            raise DataError(
                f"none of the {len(photos)} {split} pictures has the {patch} px that stage '{stage.name}' cuts: "
                f"{lower}, or set --data.small enlarge"
            )
        return large


def scale_of(stage: Stage) -> int:
    """The stage's magnification.

    Raises:
        DataError: if it names none.
    """
    if stage.scale is None:
        raise DataError(
            f"stage '{stage.name}' names no scale: add scale: 2 (or 4, ...; 1 for repairs without enlarging)"
        )
    return stage.scale
