"""Tries transforms on a made-up image and mask, before a run relies on them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.loading.albumentations_compat import reseed, strict_compose

if TYPE_CHECKING:
    import albumentations as A

_ALWAYS_SEEDS, _DRAWN_SEEDS = range(6), range(16)
_IGNORED = 255


def check_transforms(
    transforms: "Sequence[A.BasicTransform]",
    *,
    size: int,
    channels: int = 3,
    dtype: type[np.unsignedinteger[Any]] = np.uint8,
    classes: int,
) -> None:
    """Checks that transforms return image and mask as a batch needs them.

    They are applied to noise with a mask of blocks, several times: first each of them for certain, then with their
    probabilities. The size is checked after the last one, so that one may crop what the one before has enlarged.

    Args:
        transforms: in their order.
        size: side of the images in pixels.
        channels: channels of the images.
        dtype: of the images.
        classes: number of classes; 1 for masks of foreground coverage.

    Raises:
        DataError: naming the transform, what it did, and the way out.
    """
    if not transforms:
        return
    draw = np.random.default_rng(0)
    image = draw.integers(0, np.iinfo(dtype).max, (size, size, channels), dtype=dtype, endpoint=True)
    side = -(-size // 8)
    mask = draw.integers(0, max(classes, 2), (8, 8), dtype=np.uint8).repeat(side, 0).repeat(side, 1)[:size, :size]
    mask = mask * np.uint8(255) if classes == 1 else np.ascontiguousarray(mask)
    probabilities = [transform.p for transform in transforms]
    try:
        for transform in transforms:
            transform.p = 1.0
        for seed in _ALWAYS_SEEDS:
            _apply_all(transforms, image, mask, seed, classes)
    finally:
        for transform, probability in zip(transforms, probabilities, strict=True):
            transform.p = probability
    for seed in _DRAWN_SEEDS:
        _apply_all(transforms, image, mask, seed, classes)
    _check_repeats(transforms, image, mask)


def _apply_all(
    transforms: "Sequence[A.BasicTransform]", image: NDArray[Any], mask: NDArray[np.uint8], seed: int, classes: int
) -> None:
    changed, changed_mask = image, mask
    for index, transform in enumerate(transforms):
        name = type(transform).__name__
        compose = strict_compose([transform])
        reseed(compose, seed + index * len(_DRAWN_SEEDS))  # else one decides as the other
        try:
            result = compose(image=changed.copy(), mask=changed_mask.copy())
        except Exception as error:  # transforms raise all kinds, also OpenCV's
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"transforms: {name} cannot be applied to images of {_sides(changed)} px with {changed.shape[2]} "
                f"channels of {changed.dtype} ({reason}): change its arguments, or leave it out"
            ) from error
        changed, changed_mask = result["image"], result["mask"]
        _check_result(name, changed, changed_mask, image, classes)
    if changed.shape[:2] != image.shape[:2]:
        side = image.shape[0]
        raise DataError(
            f"transforms: images of {_sides(image)} px are {_sides(changed)} px after {type(transforms[-1]).__name__}: "
            f"add {{Resize: {{height: {side}, width: {side}}}}} for a single size of stage, or use transforms that "
            "keep the size, such as Affine with a scale"
        )


def _check_result(name: str, image: NDArray[Any], mask: NDArray[np.uint8], before: NDArray[Any], classes: int) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != before.dtype or mask.dtype != np.uint8:
        found = getattr(image, "dtype", type(image).__name__), getattr(mask, "dtype", type(mask).__name__)
        raise DataError(
            f"transforms: {name} returns an image of {found[0]} and a mask of {found[1]} instead of {before.dtype} and "
            "uint8: leave it out, the network normalizes its images itself"
        )
    if image.shape[:2] != mask.shape:
        raise DataError(
            f"transforms: {name} returns an image of {_sides(image)} px and a mask of {_sides(mask)} px: leave it out"
        )
    if image.ndim != 3 or image.shape[2] != before.shape[2]:
        raise DataError(
            f"transforms: {name} returns images of shape {image.shape} for {before.shape[2]} channels: leave it out"
        )
    if classes > 1 and (new := set(np.unique(mask).tolist()) - {*range(classes), _IGNORED}):
        raise DataError(
            f"transforms: {name} puts the value {min(new)} into masks whose classes are 0 to {classes - 1} (and 255, "
            "ignored): leave out its mask_interpolation and fill_mask"
        )


def _check_repeats(transforms: "Sequence[A.BasicTransform]", image: NDArray[Any], mask: NDArray[np.uint8]) -> None:
    """One seed must give one result, whatever was drawn before: otherwise a run cannot be resumed exactly."""
    compose = strict_compose(transforms)
    results = []
    for seed in (1, 2, 1):
        reseed(compose, seed)
        results.append(compose(image=image.copy(), mask=mask.copy()))
    first, _, second = results
    if not all(np.array_equal(first[key], second[key]) for key in ("image", "mask")):
        names = ", ".join(type(transform).__name__ for transform in transforms)
        raise DataError(
            f"transforms: {names} give two results for one seed, so that a run could not be resumed exactly: leave "
            "out the one that does"
        )


def _sides(pixels: NDArray[Any]) -> str:
    return " x ".join(str(side) for side in pixels.shape[1::-1])
