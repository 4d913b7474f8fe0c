"""Images to repaint and one painting to repaint them after."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.images.patch_cropper import PatchCutter
from datamodules.images.patches import PatchesDataModule
from datamodules.images.style_image import StyleImage, read_style
from datamodules.io.tensors import image_tensor
from datamodules.loading.albumentations_compat import A
from datamodules.loading.randomness import Key
from datamodules.samples.painting import ensure_sample_painting
from datamodules.stage import Stage

_SMALLEST = 32  # the deepest layer that a style is read from sees a sixteenth of it: two places a side


class StyleDataModule(PatchesDataModule):
    """Patches of any folder of images, and one painting.

    A stage's ``size`` is the side of the patches. Training patches are cut anywhere, and mirrored at random if the
    stage augments; validation and ``test`` look at the middle of the held-out images.

    Args:
        style_image: image file of the painting; ``None`` is a night landscape that the project paints itself.
        style_size: its shorter side in pixels as the loss sees it: brush strokes grow and shrink with it.
        style_crop: take only the square in its middle, as the lesson does.
        **options: of ``PatchesDataModule``.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self, *, style_image: Path | None = None, style_size: int = 256, style_crop: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        if style_size < _SMALLEST:
            raise ValueError(f"style_size must be at least {_SMALLEST}, not {style_size}")
        self._style_image, self._style_size, self._style_crop = style_image, style_size, style_crop
        self._style: StyleImage | None = None

    def style(self) -> Tensor:
        """The painting ``(3, h, w)`` float32 RGB in [0, 1], the same on every process.

        Raises:
            DataError: if the file cannot be used.
        """
        return image_tensor(self._painting().pixels)

    def calibration_images(self, count: int) -> Tensor:
        """Training patches of the stage, spread over all of them: the same ones on every process and after a restart.

        Args:
            count: how many at most.

        Returns:
            (N, 3, S, S) float32 RGB in [0, 1].

        Raises:
            DataError: if no image is large enough.
        """
        patches = ContentDataset(self.cutter("train", self.stage))
        count = min(count, len(patches))
        places = (number * len(patches) // count for number in range(count))
        return torch.stack([patches[Key(0, place)]["content"] for place in places])

    def describe(self) -> list[str]:
        """Adds which painting is taken."""
        return [*super().describe(), self._painting().describe()]

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Reads the painting, then does as ``PatchesDataModule``.

        Raises:
            DataError: if the painting cannot be used, or naming everything that is wrong with the images.
        """
        self._painting()
        super().prepare(stages)

    def setup(self, stage: str) -> None:
        """Reads what the check found, and the painting."""
        super().setup(stage)
        self._painting()

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Patches from anywhere in the training images, half of them mirrored if the stage augments."""
        mirrored = [A.HorizontalFlip(p=0.5)] if stage.augment else []
        return ContentDataset(self.cutter("train", stage, augment=mirrored))

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The middle of the held-out images."""
        return ContentDataset(self.cutter("val", stage))

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The middle of the test images, those of the validation where there are no others."""
        return ContentDataset(self.cutter("test", stage))

    def magnification(self, stage: Stage) -> int:  # noqa: ARG002 - the same for every stage
        """None: a patch is as large as the stage says."""
        return 1

    def _painting(self) -> StyleImage:
        if self._style is None:
            path = self._style_image or ensure_sample_painting(self._cache_folder / "sample_painting")
            self._style = read_style(path, size=self._style_size, crop=self._style_crop)
        return self._style


class ContentDataset(Dataset[dict[str, Any]]):
    """Samples of ``StyleBatch``: ``content`` (3, S, S) float32 in [0, 1], and ``name``.

    Args:
        cutter: cuts the patches.
    """

    def __init__(self, cutter: PatchCutter) -> None:
        self._cutter = cutter

    def __len__(self) -> int:
        return len(self._cutter)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one patch of one epoch.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        return {"content": image_tensor(self._cutter.cut(key)), "name": self._cutter.name(key)}
