"""The data module of super-resolution and restoration: pairs of a patch and its degraded copy."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.images.benchmark import BenchmarkDataset, least_side, list_benchmark
from datamodules.images.check import ImageFile
from datamodules.images.degradation import Degradation
from datamodules.images.pair_dataset import NativePairDataset, PatchDataset, collate_pairs
from datamodules.images.patch_datamodule import PatchDataModule
from datamodules.index.splits import Split
from datamodules.io.deep_image import largest_deep_value
from datamodules.stage import Stage

if TYPE_CHECKING:
    import albumentations as A

_log = logging.getLogger("darkroom")


class SuperResolutionDataModule(PatchDataModule):
    """Pairs of a patch and its small or degraded copy, from any folder of images.

    A stage's ``size`` is the side of the small patches; the targets are ``scale`` times larger. Training patches are
    random crops in one of the 8 symmetries of the square. Validation uses center crops of the held-out images; ``test``
    uses the whole held-out images, or a ``benchmark``.

    Args:
        degrade: how the input of a pair is made from its target; ``None`` is bicubic downscaling.
        gray: whether images without colors are kept or skipped; colorization learns nothing from them.
        benchmark: folder of test images for ``test``: high-resolution images, or pairs of high- and low-resolution
            images (layout: ``datamodules/images/benchmark.py``).
        **options: of ``PatchDataModule``.
    """

    def __init__(
        self,
        *,
        degrade: Degradation | None = None,
        gray: Literal["keep", "skip"] = "keep",
        benchmark: Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._degrade, self._benchmark = degrade or Degradation(), benchmark
        self._gray = gray

    def prepare(self, stages: Sequence[Stage]) -> None:
        """As ``PatchDataModule``; ``test`` on a benchmark needs no other images."""
        if self._benchmark is not None and not stages:
            return
        super().prepare(stages)

    def accepts(self, image: ImageFile) -> bool:
        """Whether an image is used: gray ones are not if ``gray`` is ``"skip"``."""
        return self._gray == "keep" or not image.gray

    def setup(self, stage: str) -> None:
        """As ``PatchDataModule``; ``test`` on a benchmark needs no other images."""
        if self._benchmark is None or stage != "test":
            super().setup(stage)

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Random crops of the training images, in one of 8 symmetries if the stage augments."""
        import albumentations as A  # late: see albumentations_compat

        symmetries = [A.D4(p=1.0)] if stage.augment else []
        return self._pairs("train", stage, augment=symmetries)

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Center crops of the held-out images.

        Raises:
            DataError: if they are too small for SSIM.
        """
        patch, least = self.patch(stage, "val"), least_side(scale_of(stage))
        if patch < least:
            raise DataError(
                f"stage '{stage.name}' validates on patches of {patch} px, and SSIM needs {least} with the border that "
                "is not evaluated: raise --data.val_size"
            )
        return self._pairs("val", stage)

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The benchmark, or the held-out images; those that are too small for SSIM are counted and left out.

        Raises:
            DataError: if the benchmark cannot be used, or no held-out image is large enough.
        """
        scale = scale_of(stage)
        if self._benchmark is not None:
            pairs = list_benchmark(self._benchmark, scale)
            if self.measures_bits:
                files = (file for pair in pairs for file in (pair.high, pair.low) if file is not None)
                self.decide_bits(largest_deep_value(file) for file in files)
            return BenchmarkDataset(pairs, scale=scale, degrade=self._degrade, seed=self.seed, bits=self.bits)
        held_out, least, side = self.load_splits().splits["test"], least_side(scale), self.side(stage, "test")
        images = [image for image in held_out if image.shorter(side) // scale * scale >= least]
        if not images:
            raise DataError(
                f"none of the {len(held_out)} held-out images has the {least} px per side that SSIM needs: hold out "
                "larger ones"
            )
        if number := len(held_out) - len(images):
            _log.warning("%d of %d held-out images are below %d px and left out", number, len(held_out), least)
        return NativePairDataset(
            images, cache=self.cache, side=side, scale=scale, degrade=self._degrade, seed=self.seed
        )

    def collate_test(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Lists of images, which differ in size."""
        return dict(collate_pairs(samples))

    def magnification(self, stage: Stage) -> int:
        """The stage's scale."""
        return scale_of(stage)

    def _pairs(
        self, split: Split, stage: Stage, *, augment: "Sequence[A.BasicTransform]" = ()
    ) -> Dataset[dict[str, Any]]:
        scale = scale_of(stage)
        margin = self._degrade.margin(self.patch(stage, split) // scale, scale=scale)
        cropper = self.cropper(split, stage, augment=augment, margin=margin * scale)
        return PatchDataset(cropper, scale=scale, degrade=self._degrade, margin=margin)


def scale_of(stage: Stage) -> int:
    """The stage's magnification.

    Raises:
        DataError: if the stage has none.
    """
    if stage.scale is None:
        raise DataError(
            f"stage '{stage.name}' has no scale: add scale: 2 (or 4, ...; 1 for restoration at the same size)"
        )
    return stage.scale
