"""Square patches cut from images: what every task that learns from images begins with."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.cache.cache import ImageCache
from datamodules.cache.encodings import IMAGE
from datamodules.images.check import ImageFile
from datamodules.io.resize import resize_to
from datamodules.loading.albumentations_compat import A, reseed, strict_compose
from datamodules.loading.randomness import Key, sample_seed


class PatchCutter:
    """Cuts patches; what is drawn is a function of (seed, epoch, index).

    Args:
        images: in the order of their index; an image gives ``crops`` neighbouring patches.
        cache: gives images with the shorter side ``side``.
        side: as the cache was filled with.
        patch: side of the patches.
        crops: patches of each image in one epoch.
        random_crop: cut anywhere, or in the middle.
        augment: what is done to a patch afterwards.
        squash: squash the whole image to the patch (the lesson's way) instead of cutting.
        seed: of everything that is drawn.
        margin: pixels of the surroundings that are cut along on every side; beyond its border an image is mirrored.
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
        augment: Sequence[A.BasicTransform],
        squash: bool,
        seed: int,
        margin: int = 0,
    ) -> None:
        self._images, self._cache, self._side = images, cache, side
        self._patch, self._crops, self._squash, self._seed = patch, crops, squash, seed
        self._margin = margin
        cut, whole = A.RandomCrop if random_crop else A.CenterCrop, patch + 2 * margin
        cutting = [] if squash else [cut(height=whole, width=whole, p=1.0)]
        self._compose = strict_compose([*cutting, *augment])

    def __len__(self) -> int:
        """Patches of one epoch."""
        return len(self._images) * self._crops

    def seed(self, key: Key) -> int:
        """Seeds what is drawn for one patch."""
        return sample_seed(self._seed, key.epoch, key.index)

    def name(self, key: Key) -> str:
        """Names the image that a patch is cut from."""
        return self._images[key.index // self._crops].name

    def cut(self, key: Key) -> NDArray[np.uint8]:
        """Gives one patch ``(patch, patch, 3)`` RGB of one epoch, its sides longer by ``2 * margin``.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        image = self._images[key.index // self._crops]
        if self._squash:
            pixels = self._cache.get(image.path, self._patch, IMAGE)
        else:
            pixels = at_least(self._cache.get(image.path, self._side, image.kind), self._patch)
        if self._margin:
            border = (self._margin,) * 4
            pixels = np.asarray(cv2.copyMakeBorder(pixels, *border, cv2.BORDER_REFLECT), dtype=np.uint8)
        reseed(self._compose, self.seed(key))
        return np.ascontiguousarray(self._compose(image=pixels)["image"])


def at_least(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Enlarges an image whose shorter side is below ``side`` to just that."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter >= side:
        return image
    return resize_to(image, max(side, round(height * side / shorter)), max(side, round(width * side / shorter)))
