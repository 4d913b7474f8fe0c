"""Workarounds for albumentations; tests fail once they are no longer needed.

Modules that use albumentations import this one first, and albumentations inside functions: importing it takes more than
a second, and neither prediction nor the usual augmentation of segmentation needs it.
"""

import os
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

# On import it asks the package registry for a newer release, which takes two seconds without a network.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
if TYPE_CHECKING:
    import albumentations as A


def strict_compose(transforms: "Sequence[A.BasicTransform]") -> "A.Compose":
    """Composes transforms and refuses unknown arguments.

    By default albumentations 2.0.8 ignores an unknown argument (``value=`` or ``mode=`` of older versions) and warns.

    Raises:
        ValueError: naming the argument and the transform.
    """
    import albumentations as A

    return A.Compose(list(transforms), strict=True)


def reseed(compose: "A.Compose", seed: int) -> None:
    """Makes the random numbers of the next call of ``compose`` depend on ``seed`` alone.

    By default every loader process draws the same augmentations, and the same again in each epoch
    (AlbumentationsX #266). ``Compose.set_random_seed`` gives every transform the same stream of random numbers, which
    makes the angle of a rotation and the strength of a brightness change dependent on each other. Here all transforms
    share one stream, which also takes a quarter of the time.
    """
    compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
