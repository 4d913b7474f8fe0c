"""The data module of style transfer: patches of images, and the style images."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.images.patch_cropper import PatchCropper
from datamodules.images.patch_datamodule import PatchDataModule
from datamodules.images.style_images import StyleImage, find_style_images, read_style, style_names
from datamodules.io.bit_depth import FULL_BITS, measure_bits
from datamodules.io.deep_image import largest_deep_value
from datamodules.io.tensors import image_tensor
from datamodules.loading.sampler import Key
from datamodules.stage import Stage

_SMALLEST = 32  # the deepest layer of the style loss has a sixteenth of this side: two positions per side

_GRAY_LEVEL = 1 / 255


class StyleDataModule(PatchDataModule):
    """Patches of any folder of images, and one or several style images.

    A stage's ``size`` is the side of the patches. Training patches are random crops, half of them mirrored if the stage
    augments; validation and ``test`` use center crops of the held-out images. With several style images, every
    training patch draws its style, a function of (seed, epoch, index); held-out images take the styles in turn.

    Args:
        style_image: image file of the style, a folder of images, or a list of both; the names ``night_landscape`` (that
            the project paints), ``brick``, ``grass`` and ``ihc`` (of scikit-image) stand for images that come with
            Darkroom. ``None`` is ``night_landscape``.
        style_names: names of the styles; ``None`` takes the file names without suffix.
        style_size: shorter side of the style images in pixels as the loss sees them; the size of the brush strokes in
            the results is proportional to it.
        style_crop: whether only the square at the top right of a style image is used, as in the lesson.
        style_trim: fraction of the height of style images that is cut off at the lower edge, where scans carry marks.
        **options: of ``PatchDataModule``.

    Raises:
        ValueError: if a number is out of its range, or two styles have one name.
    """

    def __init__(
        self,
        *,
        style_image: Sequence[str | Path] | str | Path | None = None,
        style_names: Sequence[str] | None = None,
        style_size: int = 256,
        style_crop: bool = False,
        style_trim: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if style_size < _SMALLEST:
            raise ValueError(f"style_size must be at least {_SMALLEST}, not {style_size}")
        if not 0 <= style_trim < 1:
            raise ValueError(f"style_trim must be at least 0 and below 1, not {style_trim:g}")
        given = [style_image] if isinstance(style_image, str | Path) else [*(style_image or ())]
        self._style_files = [Path(file) for file in given]
        self._style_size, self._style_crop, self._style_trim = style_size, style_crop, style_trim
        self._style_names = tuple(style_names or ())
        self._styles: list[StyleImage] = []

    @property
    def style_names(self) -> tuple[str, ...]:
        """Names of the styles, in the order of ``styles()``.

        Raises:
            DataError: if two images have one name.
        """
        return self._style_names or tuple(style_names(self._style_files))

    def styles(self) -> list[Tensor]:
        """The style images ``(3, h, w)`` float32 RGB in [0, 1], the same on every process.

        Raises:
            DataError: if a file cannot be used.
        """
        return [image_tensor(style.pixels) for style in self._load_styles()]

    def calibration_images(self, count: int) -> Tensor:
        """Training patches of the stage, evenly spaced over the set: the same on every process and after a restart.

        Args:
            count: maximum number of patches.

        Returns:
            (N, 3, S, S) float32 RGB in [0, 1].

        Raises:
            DataError: if no image is large enough.
        """
        patches = ContentDataset(self.cropper("train", self.stage), styles=1, random=False)
        count = min(count, len(patches))
        indices = (number * len(patches) // count for number in range(count))
        return torch.stack([patches[Key(0, index)]["content"] for index in indices])

    def describe(self) -> list[str]:
        """As ``PatchDataModule``, and a line about each style image."""
        return [*super().describe(), *(style.describe() for style in self._load_styles())]

    def prepare(self, stages: Sequence[Stage]) -> None:
        """As ``PatchDataModule``; checks the style images first."""
        self._load_styles()
        super().prepare(stages)

    def setup(self, stage: str) -> None:
        """As ``PatchDataModule``, and loads the style images."""
        super().setup(stage)
        self._load_styles()

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Random crops of the training images, half of them mirrored if the stage augments."""
        import albumentations as A  # late: see albumentations_compat

        mirrored = [A.HorizontalFlip(p=0.5)] if stage.augment else []
        return ContentDataset(self.cropper("train", stage, augment=mirrored), styles=len(self.style_names), random=True)

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Center crops of the held-out images."""
        return ContentDataset(self.cropper("val", stage), styles=len(self.style_names), random=False)

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """Center crops of the test images, which are those of the validation if there are no others."""
        return ContentDataset(self.cropper("test", stage), styles=len(self.style_names), random=False)

    def magnification(self, stage: Stage) -> int:  # noqa: ARG002 - the same for every stage
        """1: a patch has the stage's size."""
        return 1

    def _load_styles(self) -> list[StyleImage]:
        if not self._styles:
            names, files = self.style_names, find_style_images(self._style_files, cache=self._cache_folder)
            if len(names) != len(files):
                raise DataError(
                    f"there are {len(names)} styles ({', '.join(names)}) and {len(files)} style images: name one image "
                    "for each with --data.style_image"
                )
            # The range of the style images is their own: another camera or scanner made them.
            measured = self._given_bits == "auto"
            bits = measure_bits(map(largest_deep_value, files)) or FULL_BITS if measured else self.bits
            read = partial(read_style, size=self._style_size, crop=self._style_crop, trim=self._style_trim, bits=bits)
            self._styles = [read(file) for file in files]
        return self._styles


class ContentDataset(Dataset[dict[str, Any]]):
    """Samples of ``StyleBatch``: ``content`` (3, S, S) float32 in [0, 1], ``style``, and ``name``.

    Random patches of a single color get noise of one gray level, as before they were rounded to 8 bits. Each instance
    norm divides by the standard deviation of its input, so that the gradient overflows where that is 0 in all layers.

    Args:
        cropper: crops the patches.
        styles: number of styles.
        random: whether a patch draws its style by (seed, epoch, index); otherwise the styles are taken in turn.
    """

    def __init__(self, cropper: PatchCropper, *, styles: int, random: bool) -> None:
        self._cropper, self._styles, self._random = cropper, styles, random

    def __len__(self) -> int:
        return len(self._cropper)

    def name(self, key: Key) -> str:
        """Name of the sample, for messages."""
        return self._cropper.name(key)

    def style(self, key: Key) -> int:
        """Index of the style of one patch."""
        return int(self._generator(key, 1).integers(self._styles)) if self._random else key.index % self._styles

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one patch of one epoch.

        Raises:
            DataError: if the file was removed, changed or damaged since it was checked.
        """
        content = image_tensor(self._cropper.crop(key))
        if self._random and content.std() < _GRAY_LEVEL / 2:
            noise = self._generator(key, 2).random(tuple(content.shape), dtype=np.float32) - 0.5
            content = (content + _GRAY_LEVEL * torch.from_numpy(noise)).clamp(0, 1)
        return {"content": content, "style": self.style(key), "name": self._cropper.name(key)}

    def _generator(self, key: Key, purpose: int) -> np.random.Generator:
        """Random numbers of one patch of one epoch, other ones than those of its crop."""
        return np.random.default_rng((self._cropper.seed(key), purpose))
