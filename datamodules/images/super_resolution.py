"""Images to pairs: super-resolution and repairs on ImageNet or anyone's images."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.images.benchmark import BenchmarkDataset, find_benchmark, least_side
from datamodules.images.check import ImageFile
from datamodules.images.degradation import Degradation
from datamodules.images.pair_dataset import MARGIN, NativePairDataset, PatchDataset, collate_pairs
from datamodules.images.patches import PatchesDataModule
from datamodules.index.splits import Split
from datamodules.loading.albumentations_compat import A
from datamodules.stage import Stage

_log = logging.getLogger("darkroom")


class SuperResolutionDataModule(PatchesDataModule):
    """Pairs of a patch and its small or spoiled copy, cut from any folder of images.

    A stage's ``size`` is the side of the small patches, its ``scale`` how many times larger the targets are. Training
    patches are cut anywhere and take one of 8 symmetries; validation looks at the middle of the held-out images,
    and ``test`` at the whole of them, or at a ``benchmark``.

    Args:
        degrade: how the input of a pair is made from its target; ``None`` is bicubic downscaling.
        squash: resize whole images to the patch, as the lesson does, instead of cropping.
        gray: whether images without colors are kept or skipped; colorization learns nothing from them.
        benchmark: folder of test images for ``test``: high-resolution images, or pairs of high- and low-resolution
            images (layout: ``datamodules/images/benchmark.py``).
        **options: of ``PatchesDataModule``.
    """

    def __init__(
        self,
        *,
        degrade: Degradation | None = None,
        squash: bool = False,
        gray: Literal["keep", "skip"] = "keep",
        benchmark: Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._degrade, self._benchmark = degrade or Degradation(), benchmark
        self._gray, self._squash = gray, squash

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Checks the images, tells what they are, and makes the small copies that ``stages`` read.

        Raises:
            DataError: naming everything that is wrong with the data.
        """
        if self._benchmark is not None and not stages:
            return  # `test` looks at the benchmark alone
        super().prepare(stages)

    def wants(self, image: ImageFile) -> bool:
        """Whether it has colors, where that is asked for."""
        return self._gray == "keep" or not image.gray

    def setup(self, stage: str) -> None:
        """Reads what the check found."""
        if self._benchmark is None or stage != "test":
            self.image_splits()

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Patches from anywhere in the training images, in one of 8 symmetries if the stage augments."""
        symmetries = [A.D4(p=1.0)] if stage.augment else []
        return self._pairs("train", stage, augment=symmetries)

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The middle of the held-out images.

        Raises:
            DataError: if it is too small to be judged.
        """
        patch, least = self.patch(stage, "val"), least_side(scale_of(stage))
        if patch < least:
            raise DataError(
                f"stage '{stage.name}' validates patches of {patch} px, and SSIM needs {least} with the border that is "
                "left out: raise --data.val_size"
            )
        return self._pairs("val", stage)

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The benchmark, or the whole of the held-out images but those too small to be judged, which are counted.

        Raises:
            DataError: if a benchmark cannot be used, or no held-out image is large enough.
        """
        scale = scale_of(stage)
        if self._benchmark is not None:
            pairs = find_benchmark(self._benchmark, scale)
            return BenchmarkDataset(pairs, scale=scale, degrade=self._degrade, seed=self.seed)
        held_out, least = self.image_splits().splits["test"], least_side(scale)
        images = [image for image in held_out if image.shorter(self.side) // scale * scale >= least]
        if not images:
            raise DataError(f"none of the {len(held_out)} held-out images has the {least} px a side that SSIM needs")
        if number := len(held_out) - len(images):
            _log.warning("%d of %d held-out images are below %d px: left out", number, len(held_out), least)
        return NativePairDataset(
            images, cache=self.cache, side=self.side, scale=scale, degrade=self._degrade, seed=self.seed
        )

    def collate_test(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Lists images."""
        return dict(collate_pairs(samples))

    def magnification(self, stage: Stage) -> int:
        """The stage's scale."""
        return scale_of(stage)

    def _pairs(
        self, split: Split, stage: Stage, *, augment: Sequence[A.BasicTransform] = ()
    ) -> Dataset[dict[str, Any]]:
        scale, margin = scale_of(stage), 0 if self._squash else MARGIN
        cutter = self.cutter(split, stage, augment=augment, margin=margin * scale)
        return PatchDataset(cutter, scale=scale, degrade=self._degrade, margin=margin)


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
