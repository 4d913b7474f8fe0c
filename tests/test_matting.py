"""Edges, colors and backgrounds of cut-outs, computed by hand."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from callbacks.prediction.foreground import foreground_colors
from callbacks.prediction.matting import (
    argmax_classes,
    composite,
    draw_overlay,
    make_cutout,
    resize_probability,
    resize_to_cover,
    soft_alpha,
)

RED, GREEN = (200, 20, 20), (20, 180, 40)


def half_and_half(height: int = 40, width: int = 60) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A red object left of a green background; the two columns between are mixed, 2/3 and 1/3 red."""
    alpha = np.zeros((height, width), np.float32)
    alpha[:, : width // 2 - 1] = 1
    alpha[:, width // 2 - 1 : width // 2 + 1] = (2 / 3, 1 / 3)
    share = alpha[..., None]
    image = np.rint(share * np.array(RED) + (1 - share) * np.array(GREEN)).astype(np.uint8)
    return image, alpha


def test_probabilities_are_interpolated_between_pixel_centers() -> None:
    prob = np.array([[0.0, 1.0]], np.float32)
    # Centres of 4 pixels over 2 lie at -0.25, 0.25, 0.75, 1.25 of the source.
    np.testing.assert_allclose(resize_probability(prob, (1, 4)), [[0, 0.25, 0.75, 1]], atol=1e-6)


def test_downscaling_keeps_thin_lines() -> None:
    prob = np.zeros((64, 64), np.float32)
    prob[:, 31] = 1
    assert resize_probability(prob, (8, 8)).sum() == pytest.approx(64 / 64, rel=0.05)


def test_argmax_is_taken_after_scaling() -> None:
    probs = np.array([[[0.9, 0.2]], [[0.1, 0.8]], [[0.0, 0.0]]], np.float32)
    # Class 0 falls 0.9 .725 .375 .2 and class 1 rises 0.1 .275 .625 .8
    np.testing.assert_array_equal(argmax_classes(probs, (1, 4)), [[0, 0, 1, 1]])
    assert argmax_classes(np.full((3, 1, 1), 1 / 3, np.float32), (2, 2)).max() == 0


@pytest.mark.parametrize("magnification", [4, 15])
def test_soft_edge_is_scaled_with_the_image(magnification: int) -> None:
    step = np.arange(magnification, dtype=np.float32) / magnification  # 0 to 1 over one net pixel
    prob = np.concatenate([np.zeros(20, np.float32), step, np.ones(20, np.float32)])[None]
    alpha = soft_alpha(prob, magnification=magnification)
    between = ((alpha > 0) & (alpha < 1)).sum()
    assert 1 <= between <= 2
    assert soft_alpha(np.full((1, 1), 0.5, np.float32), magnification=magnification) == pytest.approx(0.5)


def test_image_at_network_size_keeps_its_probabilities() -> None:
    prob = np.linspace(0, 1, 11, dtype=np.float32)[None]
    np.testing.assert_allclose(soft_alpha(prob, magnification=0.5), prob, atol=1e-6)


def test_edge_is_centered_at_the_threshold() -> None:
    alpha = soft_alpha(np.array([[0.2, 0.3, 0.4]], np.float32), magnification=20, threshold=0.3)
    np.testing.assert_allclose(alpha, [[0, 0.5, 1]], atol=1e-6)


def test_background_color_is_removed_from_the_edge() -> None:
    image, alpha = half_and_half()
    assert abs(int(image[20, 29, 1]) - RED[1]) > 50  # the mixed pixel is visibly green before
    colors = foreground_colors(image, alpha)
    for column in (20, 29, 30, 33):  # inside, both mixed ones, and beyond the edge
        np.testing.assert_allclose(colors[20, column], RED, atol=5)


def test_foreground_texture_is_kept_in_the_edge() -> None:
    _, alpha = half_and_half()
    stripes = np.full((40, 60, 3), 100.0)
    stripes[::4] = stripes[1::4] = 160
    share = alpha[..., None]
    image = np.rint(share * stripes + (1 - share) * np.array(GREEN)).astype(np.uint8)
    edge = foreground_colors(image, alpha)[8:32, 29].astype(float)  # two thirds foreground
    # The neighbourhood's mean, 130, is 30 off everywhere; what it leaves unexplained brings it nearer, by
    # 30 * (2/3)^2 = 13.
    assert abs(edge - stripes[8:32, 29]).mean() == pytest.approx(30 - 13, abs=2)


def test_foreground_interior_is_unchanged() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (50, 70, 3), np.uint8)
    alpha = np.zeros((50, 70), np.float32)
    alpha[10:40, 10:50] = 1
    cutout = make_cutout(image, alpha)
    np.testing.assert_array_equal(cutout[10:40, 10:50, :3], image[10:40, 10:50])
    np.testing.assert_array_equal(cutout[..., 3], alpha.astype(np.uint8) * 255)


def test_background_pixels_are_replaced() -> None:
    image = np.full((200, 200, 3), 77, np.uint8)
    alpha = np.zeros((200, 200), np.float32)
    alpha[:10, :10] = 1
    cutout = make_cutout(image, alpha)
    assert not cutout[60:].any()
    assert not cutout[:, 60:].any()


def test_empty_mask_gives_an_empty_make_cutout() -> None:
    assert not make_cutout(np.full((8, 9, 3), 200, np.uint8), np.zeros((8, 9), np.float32)).any()


def test_composite_mixes_by_opacity() -> None:
    cutout = np.zeros((1, 3, 4), np.uint8)
    cutout[0, :, :3] = (200, 100, 0)
    cutout[0, :, 3] = (0, 51, 255)  # 51 is a fifth
    background = np.full((1, 3, 3), 100, np.uint8)
    np.testing.assert_array_equal(composite(cutout, background), [[[100, 100, 100], [120, 100, 80], [200, 100, 0]]])


def test_cut_out_on_its_own_background_restores_the_image() -> None:
    image, alpha = half_and_half()
    wall = np.broadcast_to(np.array(GREEN, np.uint8), image.shape)
    difference = composite(make_cutout(image, alpha), np.ascontiguousarray(wall)).astype(int) - image
    assert abs(difference).max() <= 3


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (40, 40), (300, 7)])
def test_cover_fills_the_frame_and_keeps_the_aspect_ratio(height: int, width: int) -> None:
    background = np.zeros((60, 80, 3), np.uint8)
    background[:, :, 0] = np.arange(80) * 3  # left to right
    background[:, :, 1] = np.arange(60)[:, None] * 4  # top to bottom
    covered = resize_to_cover(background, (height, width)).astype(float)
    assert covered.shape == (height, width, 3)
    # One step of the source is `factor` pixels in both directions, and the middle stays the middle.
    factor = max(height / 60, width / 80)
    if width > 20:
        assert (covered[height // 2, -5, 0] - covered[height // 2, 4, 0]) / (width - 9) == pytest.approx(
            3 / factor, rel=0.1
        )
    assert covered[height // 2, width // 2, 0] == pytest.approx(39.5 * 3, abs=3 + 3 / factor)
    assert covered[height // 2, width // 2, 1] == pytest.approx(29.5 * 4, abs=4 + 4 / factor)


def test_overlay_keeps_the_background_and_outlines_the_mask() -> None:
    image = np.full((30, 30, 3), 100, np.uint8)
    classes = np.zeros((30, 30), np.uint8)
    classes[10:20, 10:20] = 1
    shown = draw_overlay(image, classes, np.array([[0, 0, 0], [255, 0, 0]], np.uint8), background=0)
    np.testing.assert_array_equal(shown[classes == 0], image[classes == 0])
    np.testing.assert_array_equal(shown[10, 10:20], [[255, 0, 0]] * 10)
    np.testing.assert_array_equal(shown[15, 15], [162, 60, 60])  # 0.6 * 100 + 0.4 * 255 and 0.6 * 100


def test_strips_give_the_colors_of_the_whole_image() -> None:
    """Forte's formula on the whole image at once, for an object that crosses several strips and nearly fills it."""
    image = np.random.default_rng(0).integers(0, 256, (400, 90, 3), np.uint8)
    rows, columns = np.mgrid[:400, :90].astype(np.float32)
    distance = np.hypot((rows - 200) / 185, (columns - 45) / 40)
    alpha = ((1.05 - distance) * 8).clip(0, 1).astype(np.float32)
    share, window = alpha[..., None], (49, 49)
    weight = cv2.blur(alpha, window)[..., None]
    front = cv2.blur(image * share, window) / (weight + 1e-5)
    back = cv2.blur(image * (1 - share), window) / (1 - weight + 1e-5)
    front += share * (image - share * front - (1 - share) * back)
    expected = np.where(share == 1, image, np.where(weight > 0, front, 0)).clip(0, 255)
    found = foreground_colors(image, alpha)
    assert np.abs(found - expected).max() <= 0.51
    assert (found[200, 40] == image[200, 40]).all()


def test_overlay_of_several_classes_mixes_each_pixel_with_its_color() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    classes = np.repeat(np.arange(3, dtype=np.uint8), 20)[None].repeat(40, axis=0)
    colors = np.array([[250, 0, 10], [0, 200, 90], [30, 60, 255]], np.uint8)
    shown = draw_overlay(image, classes, colors, background=None)
    inside = np.isin(np.arange(60), [18, 19, 20, 21, 38, 39, 40, 41], invert=True)
    np.testing.assert_allclose(shown[:, inside], (0.6 * image + 0.4 * colors[classes])[:, inside], atol=0.51)
    np.testing.assert_array_equal(shown[:, 19:21], colors[classes][:, 19:21])  # the line between two classes


def test_colors_are_estimated_at_every_edge_and_only_there() -> None:
    """Forte's formula on the whole image at once, for an object with a hole, wider than two windows, and two spots."""
    image = np.random.default_rng(0).integers(0, 256, (200, 500, 3), np.uint8)
    alpha = np.zeros((200, 500), np.float32)
    alpha[30:170, 40:300] = 1
    alpha[90:100, 120:140] = 0.3
    alpha[2:4, 2:4] = alpha[196:198, 494:498] = 0.7
    share, window = alpha[..., None], (49, 49)
    weight = cv2.blur(alpha, window)[..., None]
    front = cv2.blur(image * share, window) / (weight + 1e-5)
    back = cv2.blur(image * (1 - share), window) / (1 - weight + 1e-5)
    front += share * (image - share * front - (1 - share) * back)
    expected = np.where(share == 1, image, front).clip(0, 255)
    found = foreground_colors(image, alpha)
    near = weight[..., 0] > 1e-6
    assert np.abs(found - expected)[near].max() <= 0.51
    assert not found[:, 360:390].any()
    np.testing.assert_array_equal(found[alpha == 1], image[alpha == 1])


def test_images_of_another_memory_order_are_taken() -> None:
    """Images of several bands have their channels first in memory."""
    rng = np.random.default_rng(4)
    image = rng.integers(0, 255, (40, 30, 3), dtype=np.uint8)
    alpha = np.zeros((40, 30), np.float32)
    alpha[10:30, 8:20] = np.linspace(0, 1, 12, dtype=np.float32)
    channels_first = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert np.array_equal(make_cutout(channels_first, alpha), make_cutout(image, alpha))
    classes = (alpha > 0.5).astype(np.uint8)
    colors = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
    expected = draw_overlay(image, classes, colors, background=0)
    assert np.array_equal(draw_overlay(channels_first, classes, colors, background=0), expected)
