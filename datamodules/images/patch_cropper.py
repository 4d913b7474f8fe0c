"""Square patches cropped from images, for all tasks that train on plain images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.cache.cache import ImageCache
from datamodules.images.check import ImageFile
from datamodules.io.resize import enlarge_to
from datamodules.io.tensors import writable
from datamodules.loading.albumentations_compat import reseed, strict_compose
from datamodules.loading.sampler import Key, sample_seed

if TYPE_CHECKING:
    import albumentations as A


class PatchCropper:
    """Crops patches; the position and the augmentation are a function of (seed, epoch, index).

    Args:
        images: in the order of their index; an image gives ``crops`` consecutive patches.
        cache: the images with a shorter side of at most ``side``.
        side: size at which the cache was filled.
        patch: side of the patches in pixels.
        crops: patches of each image in one epoch.
        random_crop: whether patches are cropped anywhere, or in the center.
        augment: transforms of a patch.
        seed: of the position and the augmentation.
        margin: pixels that are added on every side of a patch; images are mirrored beyond their border.
    """

    def __init__(
        self,
        images: Sequence[ImageFile],
        *,
        cache: ImageCache,
        side: int,
        patch: int,
        crops: int,
        random_crop: bool,
        augment: "Sequence[A.BasicTransform]",
        seed: int,
        margin: int = 0,
    ) -> None:
        import albumentations as A  # late: see albumentations_compat

        self._images, self._cache, self._side = images, cache, side
        self._patch, self._crops, self._seed = patch, crops, seed
        self._margin = margin
        crop, whole = A.RandomCrop if random_crop else A.CenterCrop, patch + 2 * margin
        self._compose = strict_compose([crop(height=whole, width=whole, p=1.0), *augment])

    def __len__(self) -> int:
        """Patches of one epoch."""
        return len(self._images) * self._crops

    def seed(self, key: Key) -> int:
        """Seed of the random numbers of one patch."""
        return sample_seed(self._seed, key.epoch, key.index)

    def name(self, key: Key) -> str:
        """Name of the image that a patch is cropped from."""
        return self._images[key.index // self._crops].name

    def crop(self, key: Key) -> NDArray[np.uint8]:
        """One patch of one epoch: ``(S, S, 3)`` RGB with ``S = patch + 2 * margin``.

        Raises:
            DataError: if the file was removed, changed or damaged since it was checked.
        """
        image = self._images[key.index // self._crops]
        pixels = enlarge_to(self._cache.get(image.path, self._side, image.encoding), self._patch)
        if self._margin:
            border = (self._margin,) * 4
            pixels = np.asarray(cv2.copyMakeBorder(pixels, *border, cv2.BORDER_REFLECT), dtype=np.uint8)
        reseed(self._compose, self.seed(key))
        return np.ascontiguousarray(self._compose(image=writable(pixels))["image"])
