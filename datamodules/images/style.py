"""The data module of style transfer: patches of images, and the style image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.images.patch_cropper import PatchCropper
from datamodules.images.patch_datamodule import PatchDataModule
from datamodules.io.image import image_size, read_image
from datamodules.io.resize import resize_to, top_right_crop
from datamodules.io.tensors import image_tensor
from datamodules.loading.albumentations_compat import A
from datamodules.loading.sampler import Key
from datamodules.samples.painting import ensure_sample_painting
from datamodules.stage import Stage

_SMALLEST = 32  # the deepest layer of the style loss has a sixteenth of this side: two positions per side
_COLORLESS = 8  # largest difference between the channels of a gray image in gray levels, from JPEG and scanners


@dataclass(frozen=True)
class StyleImage:
    """The style image at the size that the loss sees.

    Args:
        path: its file.
        original: height and width of the file's image as displayed.
        pixels: ``(h, w, 3)`` RGB uint8.
    """

    path: Path
    original: tuple[int, int]
    pixels: NDArray[np.uint8]

    @property
    def gray(self) -> bool:
        """Whether it has no colors."""
        return int(np.ptp(self.pixels, axis=2).max()) <= _COLORLESS

    def describe(self) -> str:
        """One line with its file and sizes."""
        (height, width), (h, w) = self.original, self.pixels.shape[:2]
        line = f"  style: {self.path}, {width} x {height} px, resized to {w} x {h}"
        return f"{line}; it is gray, so the results will be gray" if self.gray else line


def read_style(path: Path, *, size: int, crop: bool) -> StyleImage:
    """Reads a style image of any format and mode and resizes its shorter side to ``size``.

    Args:
        path: an image file.
        size: shorter side in pixels; a smaller image is refused, since enlarged pixels show no brush strokes.
        crop: whether only the square at the top right is used.

    Raises:
        DataError: if the file does not exist, cannot be read, or is smaller than ``size``.
    """
    way_out = "name an image with --data.style_image FILE"
    if path.is_dir():
        raise DataError(f"the style image {path} is a folder: {way_out}")
    if not path.exists():
        raise DataError(f"the style image {path} does not exist: {way_out}")
    try:
        height, width = image_size(path)
        shorter = min(height, width)
        if shorter < size:
            raise DataError(
                f"has {width} x {height} px, and its shorter side is resized to {size}: name a larger image, or lower "
                f"--data.style_size to {shorter}"
            )
        pixels = read_image(path, min_side=2 * size)
    except DataError as error:
        raise DataError(f"the style image {path}: {str(error).removeprefix(f'{path}: ')}") from error
    pixels = resize_to(pixels, round(height * size / shorter), round(width * size / shorter))
    return StyleImage(path, (height, width), top_right_crop(pixels, size) if crop else pixels)


class StyleDataModule(PatchDataModule):
    """Patches of any folder of images, and one style image.

    A stage's ``size`` is the side of the patches. Training patches are random crops, half of them mirrored if the stage
    augments; validation and ``test`` use center crops of the held-out images.

    Args:
        style_image: image file of the style; ``None`` is a night landscape that the project paints.
        style_size: shorter side of the style image in pixels as the loss sees it; the size of the brush strokes in the
            results is proportional to it.
        style_crop: whether only the square at the top right of the style image is used, as in the lesson.
        **options: of ``PatchDataModule``.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self, *, style_image: Path | None = None, style_size: int = 256, style_crop: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        if style_size < _SMALLEST:
            raise ValueError(f"style_size must be at least {_SMALLEST}, not {style_size}")
        self._style_path, self._style_size, self._style_crop = style_image, style_size, style_crop
        self._style: StyleImage | None = None

    def style(self) -> Tensor:
        """The style image ``(3, h, w)`` float32 RGB in [0, 1], the same on every process.

        Raises:
            DataError: if the file cannot be used.
        """
        return image_tensor(self._load_style().pixels)

    def calibration_images(self, count: int) -> Tensor:
        """Training patches of the stage, evenly spaced over the set: the same on every process and after a restart.

        Args:
            count: maximum number of patches.

        Returns:
            (N, 3, S, S) float32 RGB in [0, 1].

        Raises:
            DataError: if no image is large enough.
        """
        patches = ContentDataset(self.cropper("train", self.stage))
        count = min(count, len(patches))
        indices = (number * len(patches) // count for number in range(count))
        return torch.stack([patches[Key(0, index)]["content"] for index in indices])

    def describe(self) -> list[str]:
        """As ``PatchDataModule``, and a line about the style image."""
        return [*super().describe(), self._load_style().describe()]

    def prepare(self, stages: Sequence[Stage]) -> None:
        """As ``PatchDataModule``; checks the style image first."""
        self._load_style()
        super().prepare(stages)

    def setup(self, stage: str) -> None:
        """As ``PatchDataModule``, and loads the style image."""
        super().setup(stage)
        self._load_style()

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Random crops of the training images, half of them mirrored if the stage augments."""
        mirrored = [A.HorizontalFlip(p=0.5)] if stage.augment else []
        return ContentDataset(self.cropper("train", stage, augment=mirrored))

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Center crops of the held-out images."""
        return ContentDataset(self.cropper("val", stage))

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Center crops of the test images, which are those of the validation if there are no others."""
        return ContentDataset(self.cropper("test", stage))

    def magnification(self, stage: Stage) -> int:  # noqa: ARG002 - the same for every stage
        """1: a patch has the stage's size."""
        return 1

    def _load_style(self) -> StyleImage:
        if self._style is None:
            path = self._style_path or ensure_sample_painting(self._cache_folder / "sample_painting")
            self._style = read_style(path, size=self._style_size, crop=self._style_crop)
        return self._style


class ContentDataset(Dataset[dict[str, Any]]):
    """Samples of ``StyleBatch``: ``content`` (3, S, S) float32 in [0, 1], and ``name``.

    Args:
        cropper: crops the patches.
    """

    def __init__(self, cropper: PatchCropper) -> None:
        self._cropper = cropper

    def __len__(self) -> int:
        return len(self._cropper)

    def name(self, key: Key) -> str:
        """Name of the sample, for messages."""
        return self._cropper.name(key)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one patch of one epoch.

        Raises:
            DataError: if the file was removed, changed or damaged since it was checked.
        """
        return {"content": image_tensor(self._cropper.crop(key)), "name": self._cropper.name(key)}
