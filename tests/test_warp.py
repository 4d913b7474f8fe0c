"""The fast path of the augmentation gives what albumentations and OpenCV's separate steps give."""

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datamodules.io.tensors import compact_tensor, image_tensor
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.warp import change_light, turn_matrix, turn_pair

HEIGHT, WIDTH = 90, 130


def smooth_image() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def coverage_mask() -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).integers(0, 256, (9, 13), dtype=np.uint8)
    return cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def class_mask() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 5, (9, 13), dtype=np.uint8).repeat(10, axis=0).repeat(10, axis=1)


def differences(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int16]:
    return np.abs(first.astype(np.int16) - second.astype(np.int16))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("degrees", [-4.0, -0.3, 1.7, 4.0, 35.0])
def test_coverage_is_turned_as_by_albumentations(degrees: float, mirror: bool) -> None:
    image, mask = smooth_image(), coverage_mask()
    turned = turn_pair(image, mask, degrees=degrees, mirror=mirror, coverage=True)
    rotate = A.Rotate(
        limit=(degrees, degrees),
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_LINEAR,
        border_mode=cv2.BORDER_REFLECT_101,
        p=1.0,
    )
    out = A.Compose([rotate, A.HorizontalFlip(p=float(mirror))])(image=image, mask=mask)
    for ours, theirs in zip(turned, (out["image"], out["mask"]), strict=True):
        assert differences(ours, theirs).max() <= 4  # positions are rounded to 1/32 pixel, mirrored or not
        assert differences(ours, theirs).mean() < 0.3


@pytest.mark.parametrize("mirror", [False, True])
def test_classes_are_turned_as_by_separate_steps(mirror: bool) -> None:
    image, mask = smooth_image(), class_mask()
    turned, labels = turn_pair(image, mask, degrees=3.0, mirror=mirror, coverage=False)
    matrix = cv2.getRotationMatrix2D(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), 3.0, 1.0)
    plain = [
        cv2.warpAffine(pixels, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        for pixels, flags in ((image, cv2.INTER_LINEAR), (mask, cv2.INTER_NEAREST))
    ]
    if mirror:
        plain = [cv2.flip(pixels, 1) for pixels in plain]
    assert differences(turned, np.asarray(plain[0], np.uint8)).max() <= 4
    assert (labels != plain[1]).mean() < 0.005  # pixels half-way between two
    assert set(np.unique(labels)) <= set(range(5))


def test_ignored_pixels_are_turned_with_the_coverage() -> None:
    mask = np.dstack([coverage_mask(), class_mask() * np.uint8(60)])
    _, turned = turn_pair(smooth_image(), mask, degrees=4.0, mirror=True, coverage=True)
    for channel in range(2):
        single = np.ascontiguousarray(mask[..., channel])
        _, alone = turn_pair(smooth_image(), single, degrees=4.0, mirror=True, coverage=True)
        assert differences(turned[..., channel], alone).max() <= 240 / 32  # positions are rounded to 1/32 pixel


def test_a_full_turn_of_the_matrix_is_the_identity() -> None:
    there, back = (np.vstack([turn_matrix(5, 9, degrees=d, mirror=False), [0, 0, 1]]) for d in (30.0, -30.0))
    np.testing.assert_allclose(there @ back, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(("contrast", "brightness"), [(0.05, 0.05), (-0.05, -0.05), (0.3, -0.4), (-0.2, 0.1)])
def test_light_is_that_of_albumentations(contrast: float, brightness: float) -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    theirs = A.RandomBrightnessContrast(
        brightness_limit=(brightness, brightness), contrast_limit=(contrast, contrast), p=1.0
    )(image=image)["image"]
    ours = change_light(image, contrast=contrast, brightness=brightness)
    assert differences(ours, theirs).max() <= 1  # albumentations rounds down
    exact = (image * (1 + contrast) + 255 * brightness).clip(0, 255)
    assert np.abs(ours - exact).max() <= 0.5 + 1e-4


def test_neither_step_changes_its_input() -> None:
    image, mask = smooth_image(), coverage_mask()
    for pixels in (image, mask):
        pixels.flags.writeable = False
    turned, _ = Augment(coverage=True)(image, mask, seed=0)
    assert turned.flags.writeable
    np.testing.assert_array_equal(image, smooth_image())
    np.testing.assert_array_equal(mask, coverage_mask())


def test_further_transforms_take_what_the_cache_returns() -> None:
    image, mask = smooth_image(), coverage_mask()
    for pixels in (image, mask):
        pixels.flags.writeable = False
    holes = {"CoarseDropout": {"p": 1.0, "fill": 0}}
    augment = Augment(rotate=0, flip=False, light=0, coverage=True, extra=[holes])
    out, _ = augment(image, mask, seed=0)
    assert (out == 0).all(axis=2).any()
    np.testing.assert_array_equal(image, smooth_image())


@pytest.mark.parametrize("shape", [(7, 5, 3), (1, 9, 3), (6, 1, 3), (4, 4, 1), (3, 8, 4)])
def test_tensors_are_the_transposed_array(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for image in (pixels, pixels[::-1, ::-1], pixels[:, : max(1, shape[1] // 2)]):
        expected = torch.from_numpy(image.transpose(2, 0, 1).copy())
        assert torch.equal(compact_tensor(image), expected)
        assert torch.equal(image_tensor(image), expected.float() / 255)
