"""Workarounds for albumentations, each with its upstream number; tests fail once upstream has mended them."""

import os
import random
from collections.abc import Sequence

import numpy as np

# Its import asks the package registry for a newer release, which costs two seconds on a machine without a network.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A

__all__ = ["A", "reseed", "strict_compose"]


def strict_compose(transforms: Sequence[A.BasicTransform]) -> A.Compose:
    """Chains transforms and refuses arguments they do not know.

    albumentations 2.0.8 only warns about an unknown argument (``value=``, ``mode=`` of its older versions) and
    goes on without it.

    Raises:
        ValueError: naming the argument and the transform.
    """
    return A.Compose(list(transforms), strict=True)


def reseed(compose: A.Compose, seed: int) -> None:
    """Makes the next call of ``compose`` a function of ``seed`` alone.

    Left alone, every loader worker draws the same augmentations, and the same again each epoch
    (AlbumentationsX #266). ``Compose.set_random_seed`` is no cure: it starts every transform on the same stream,
    so that the angle of a rotation and the strength of a light change are always drawn with the same number.
    One stream for all of them costs a quarter of the time too.
    """
    compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
