"""Resizing keeps means, values and positions; at full size, area-resized labels have the smallest error."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.io.resize import resize_classes, resize_coverage, resize_image


def test_downscaling_takes_area_means() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:2, :4] = 80
    image[0, 0] = 0  # one of eight pixels: 70 left
    np.testing.assert_array_equal(resize_image(image, 2)[..., 0], [[70, 0], [0, 0]])


def test_downscaling_by_a_fraction_weights_pixels_by_area() -> None:
    image = np.repeat(np.array([[30, 60, 90]], np.uint8), 3, axis=0)[..., None].repeat(3, axis=2)
    np.testing.assert_array_equal(resize_image(image, 2)[0, :, 0], [40, 80])  # (30 + 60 / 2) / 1.5, (60 / 2 + 90) / 1.5


def test_one_side_is_reduced_and_the_other_enlarged() -> None:
    image = np.zeros((2, 9, 3), np.uint8)
    image[:, 4:5] = 90  # the middle third holds a third of 90
    out = resize_image(image, 3)
    assert out.shape == (3, 3, 3)
    np.testing.assert_array_equal(out[..., 0], [[0, 30, 0]] * 3)


def test_image_of_the_right_size_is_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), np.uint8)
    np.testing.assert_array_equal(resize_image(image, 5), image)


def test_enlarging_keeps_a_flat_image_flat() -> None:
    np.testing.assert_array_equal(resize_image(np.full((3, 5, 3), 255, np.uint8), 16), np.full((16, 16, 3), 255))


@pytest.mark.parametrize("size", [3, 4, 7, 12, 20])
def test_classes_are_sampled_at_pixel_centers(size: int) -> None:
    mask = np.random.default_rng(0).integers(0, 255, (11, 17), np.uint8)  # odd sides: no centre lies between two
    rows = np.floor((np.arange(size) + 0.5) * 11 / size).astype(int)
    columns = np.floor((np.arange(size) + 0.5) * 17 / size).astype(int)
    np.testing.assert_array_equal(resize_classes(mask, size), mask[np.ix_(rows, columns)])


def test_coverage_is_the_covered_fraction_of_the_pixel() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:2, :2] = 1
    mask[0, 2] = 1
    np.testing.assert_array_equal(resize_coverage(mask, 2), [[255, 64], [0, 0]])  # a quarter of 255 is 63.75
    np.testing.assert_array_equal(resize_coverage(mask, 4), mask * 255)


def test_coverage_keeps_the_area_of_the_object() -> None:
    mask = np.zeros((1280, 1918), np.uint8)
    cv2.ellipse(mask, (900, 600), (500, 301), 17.0, 0, 360, 1, -1)
    assert resize_coverage(mask, 128).mean() / 255 == pytest.approx(mask.mean(), abs=1e-4)


def thin_structures() -> NDArray[np.uint8]:
    """A shape with thin lines of 3 to 13 pixels."""
    mask = np.zeros((1280, 1918), np.uint8)
    cv2.ellipse(mask, (950, 700), (600, 260), 0.0, 0, 360, 1, -1)
    for i, width in enumerate((3, 5, 7, 9, 11, 13)):
        cv2.line(mask, (600 + 120 * i, 640), (500 + 150 * i, 150), 1, width)
        cv2.circle(mask, (400 + 220 * i, 1000), 90, 1, width)
    return mask


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.mark.parametrize(("size", "area", "exact"), [(128, 0.96, 0.93), (512, 0.993, 0.985)])
def test_round_trip_error_area_exact_nearest(size: int, area: float, exact: float) -> None:
    """The Dice of a mask resized to ``size`` and back, an upper bound for a network of that size."""
    mask = thin_structures()

    def back(small: NDArray[np.generic]) -> NDArray[np.bool_]:
        soft = cv2.resize(small.astype(np.float32), (1918, 1280), interpolation=cv2.INTER_LINEAR)
        return np.asarray(soft >= 0.5)

    by_area = dice(back(resize_coverage(mask, size) / 255), mask > 0)
    by_exact = dice(back(resize_classes(mask, size)), mask > 0)
    usual = dice(back(cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST)), mask > 0)
    assert by_area > by_exact > usual
    assert by_area > area
    assert by_exact > exact
