"""Augmentation of an image together with its mask: the lesson's transforms, and those of one's choice."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.io.tensors import writable
from datamodules.loading.albumentations_compat import reseed, strict_compose
from datamodules.segmentation.transform_check import check_transforms
from datamodules.segmentation.transforms import TransformSpec, build_transforms, describe_transforms
from datamodules.segmentation.warp import change_light, turn_pair

_OWN_STREAM = 2**32  # beyond the seeds of ``extra``, whose random numbers would otherwise be the same


class Draws(NamedTuple):
    """The random draws of one sample, besides those of the transforms of one's choice."""

    degrees: float  # counterclockwise
    contrast: float  # factor of the values, minus 1
    brightness: float  # added to the values, as a fraction of full scale
    mirror: bool


class Augment:
    """Rotation and horizontal flip of image and mask; brightness and contrast of the image alone.

    Corners left empty by the rotation are filled by reflection. A coverage mask is interpolated linearly like the
    image; a class mask by nearest neighbor, so that no new class numbers appear.

    Departure from the lesson: contrast is a factor of the values and brightness an offset, applied together to 8-bit
    values, which are rounded once; for images with 16 bits see ``relative_light``.

    Args:
        rotate: largest angle in degrees, in either direction.
        flip: whether an image is mirrored left to right with probability 0.5.
        light: largest change of brightness and of contrast, as a fraction of full scale.
        coverage: whether masks hold foreground coverage (``True``) or class numbers (``False``).
        extra: transforms of albumentations that follow those above, see ``build_transforms``.

    Raises:
        ValueError: if ``rotate`` or ``light`` is out of its range, or ``extra`` is not allowed.
    """

    def __init__(
        self,
        *,
        rotate: float = 4.0,
        flip: bool = True,
        light: float = 0.05,
        coverage: bool,
        extra: Sequence[TransformSpec] = (),
    ) -> None:
        if not 0 <= rotate <= 180:
            raise ValueError(f"rotate must be between 0 and 180 degrees, not {rotate}")
        if not 0 <= light < 1:
            raise ValueError(f"light must be at least 0 and below 1, not {light}")
        self._rotate, self._flip, self._light, self._coverage = rotate, flip, light, coverage
        self._extra = build_transforms(extra, coverage=coverage)
        self._compose = strict_compose(self._extra) if extra else None
        self._text = ", ".join(
            [
                *([f"rotation by up to {rotate:g} degrees"] if rotate else []),
                *(["horizontal flip"] if flip else []),
                *([f"brightness and contrast by up to {light:g}"] if light else []),
                *([describe_transforms(extra)] if extra else []),
            ]
        )

    def __str__(self) -> str:
        """The transforms with their strength, for reports; empty if there are none."""
        return self._text

    @property
    def has_extra(self) -> bool:
        """Whether there are transforms of one's choice."""
        return self._compose is not None

    def draws(self, seed: int) -> Draws:
        """The random draws for ``seed``, without those of ``extra``."""
        draw = Random(seed + _OWN_STREAM)
        degrees, contrast, brightness = (draw.uniform(-most, most) for most in (self._rotate, self._light, self._light))
        return Draws(degrees, contrast, brightness, mirror=self._flip and draw.random() < 0.5)

    def check(self, *, size: int, classes: int, channels: int | None = None) -> None:
        """Tries the transforms of ``extra`` on a made-up image.

        Args:
            size: side of the images in pixels.
            classes: number of classes; 1 for masks of foreground coverage.
            channels: channels of images with 16 bits; ``None`` for RGB images with 8.

        Raises:
            DataError: see ``check_transforms``.
        """
        if channels is None:
            check_transforms(self._extra, size=size, classes=classes)
        else:
            check_transforms(self._extra, size=size, classes=classes, channels=channels, dtype=np.uint16)

    def __call__(
        self, image: NDArray[np.uint8] | NDArray[np.uint16], mask: NDArray[np.uint8], *, seed: int
    ) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], NDArray[np.uint8]]:
        """Augments one pair.

        Args:
            image: ``(H, W, C)`` uint8 or uint16; not changed.
            mask: ``(H, W)`` uint8, coverage (0 to 255) or class numbers, or ``(H, W, 2)``, coverage and ignored
                pixels; not changed.
            seed: seed of all random draws.

        Returns:
            Image and mask of the same shapes and dtypes.
        """
        draws = self.draws(seed)
        image, mask = turn_pair(image, mask, degrees=draws.degrees, mirror=draws.mirror, coverage=self._coverage)
        if self._light:
            image = change_light(image, contrast=draws.contrast, brightness=draws.brightness)
        if self._compose is None:
            return image, mask
        reseed(self._compose, seed)
        out = self._compose(image=writable(image), mask=writable(mask))
        return out["image"], out["mask"]
