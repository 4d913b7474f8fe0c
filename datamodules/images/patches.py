"""Images to patches: which images are large enough for a stage, and what is cut from them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

from datamodules.errors import DataError
from datamodules.images.check import ImageFile
from datamodules.images.datamodule import ImagesDataModule
from datamodules.images.patch_cropper import PatchCutter
from datamodules.index.splits import Split
from datamodules.loading.albumentations_compat import A
from datamodules.stage import Stage


class PatchesDataModule(ImagesDataModule):
    """Patches cut anywhere from training images, and from the middle of the others.

    Args:
        crops: patches of each training image in one epoch.
        val_size: size that replaces the stage's in validation; ``None`` is the stage's.
        small: whether images smaller than a patch are left out or enlarged.
        **options: of ``ImagesDataModule``.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        *,
        crops: int = 1,
        val_size: int | None = None,
        small: Literal["skip", "enlarge"] = "skip",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if crops < 1 or (val_size or 1) < 1:
            raise ValueError(f"crops and val_size must be at least 1, not {crops} and {val_size}")
        self._crops, self._val_size, self._small = crops, val_size, small
        self._squash = False

    @abstractmethod
    def magnification(self, stage: Stage) -> int:
        """How many times larger than the stage's size patches are.

        Raises:
            DataError: if the stage has to say so, and does not.
        """

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Checks the images, tells what they are, and makes the small copies that ``stages`` read.

        Raises:
            DataError: naming everything that is wrong with the data.
        """
        found = self.image_splits()
        if not stages:
            return
        print("\n".join(self.describe()))
        self.check_duplicates(
            found.root, {split: [image.path for image in images] for split, images in found.splits.items()}
        )
        images = [*found.splits["train"], *found.splits["val"]]
        if self._squash:
            for patch in sorted({self.patch(stage, "train") for stage in stages}):
                self.fill_cache(patch, images, whole=False)
            return
        for stage in stages:
            for split in ("train", "val"):
                self._large_enough(split, stage, say=True)
        self.fill_cache(self.side, images, whole=True)

    def setup(self, stage: str) -> None:  # noqa: ARG002 - whatever is about to run
        """Reads what the check found."""
        self.image_splits()

    def patch(self, stage: Stage, split: Split) -> int:
        """Side of a split's patches."""
        own = self._val_size if split != "train" and not self._squash else None
        return (own or stage.size) * self.magnification(stage)

    def cutter(
        self, split: Split, stage: Stage, *, augment: Sequence[A.BasicTransform] = (), margin: int = 0
    ) -> PatchCutter:
        """Cuts a split's patches for a stage: anywhere in training images, else from the middle.

        Args:
            split: whose images.
            stage: says how large.
            augment: what is done to a patch afterwards.
            margin: pixels of the surroundings that are cut along on every side; none where images are squashed.

        Raises:
            DataError: if no image of the split is large enough.
        """
        training = split == "train"
        return PatchCutter(
            self.image_splits().splits[split] if self._squash else self._large_enough(split, stage),
            cache=self.cache,
            side=self.side,
            patch=self.patch(stage, split),
            crops=self._crops if training else 1,
            random_crop=training,
            augment=augment,
            squash=self._squash,
            seed=self.seed,
            margin=0 if self._squash else margin,
        )

    def _large_enough(self, split: Split, stage: Stage, *, say: bool = False) -> list[ImageFile]:
        """The images of a split from which a patch can be cut.

        Raises:
            DataError: if no image is.
        """
        images, patch = self.image_splits().splits[split], self.patch(stage, split)
        lower = "lower the stage's size" if split == "train" or self._val_size is None else "lower --data.val_size"
        if patch > self.side:
            raise DataError(
                f"stage '{stage.name}' cuts {split} patches of {patch} px out of images that are kept with a shorter "
                f"side of {self.side}: raise --data.side, or {lower}"
            )
        large = [image for image in images if image.shorter(self.side) >= patch]
        number, what = len(images) - len(large), "left out" if self._small == "skip" else "enlarged"
        if say and number:
            print(f"  stage {stage.name}: {number} of {len(images)} {split} images are below {patch} px: {what}")
        if self._small == "enlarge":
            return images
        if not large:
            raise DataError(
                f"none of the {len(images)} {split} images has the {patch} px that stage '{stage.name}' cuts: "
                f"{lower}, or set --data.small enlarge"
            )
        return large
