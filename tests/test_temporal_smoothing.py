"""Blending with the image, measuring flicker and smoothing it: values computed by hand."""

import colorsys

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from callbacks.prediction.images import blend
from callbacks.prediction.temporal_smoothing import Flicker, TemporalSmoother, stillness
from tests.helpers.tiny_images import noise

Frame = NDArray[np.uint8]


def flat(*levels: int, size: int = 40) -> Frame:
    return np.tile(np.array(levels, np.uint8), (size, size, 1))


def test_strength_interpolates_between_image_and_result() -> None:
    old, new = flat(100, 0, 200), flat(200, 50, 0)
    for strength, color in ((0, (100, 0, 200)), (0.25, (125, 12, 150)), (0.5, (150, 25, 100)), (1, (200, 50, 0))):
        mixed = blend(new, old, strength=strength, keep_colors=False)
        assert tuple(mixed[3, 3]) == color  # 12.5 is rounded to even
        assert mixed.dtype == np.uint8


def test_kept_colors_agree_with_pillow() -> None:
    old, new = noise(1), (noise(2) // 2 + 60).astype(np.uint8)
    old = (old // 2 + 60).astype(np.uint8)  # far from black and white, where colors are cut off
    mixed = np.asarray(Image.fromarray(blend(new, old, strength=1, keep_colors=True)).convert("YCbCr")).astype(int)
    image = np.asarray(Image.fromarray(old).convert("YCbCr")).astype(int)
    painting = np.asarray(Image.fromarray(new).convert("YCbCr")).astype(int)
    assert abs(mixed[..., 0] - painting[..., 0]).max() <= 2
    assert abs(mixed[..., 1:] - image[..., 1:]).max() <= 2
    assert abs(painting[..., 1:] - image[..., 1:]).max() > 20


def test_kept_colors_at_half_strength_keep_the_hue() -> None:
    old = flat(90, 120, 150)
    mixed = blend(flat(160, 160, 160), old, strength=0.5, keep_colors=True)
    # brightness 115.5 (0.299 * 90 + 0.587 * 120 + 0.114 * 150 = 114.45) rises by half of 45.55
    np.testing.assert_array_equal(mixed[0, 0], [113, 143, 173])
    hues = [colorsys.rgb_to_hsv(*(float(value) for value in color))[0] for color in (old[0, 0], mixed[0, 0])]
    assert hues[0] == pytest.approx(hues[1])


def test_16_bits_and_white_are_kept() -> None:
    old, new = np.full((4, 4, 3), 65000, np.uint16), np.full((4, 4, 3), 1001, np.uint16)
    assert (blend(new, old, strength=0.5, keep_colors=False) == 33000).all()  # 33000.5, to even
    bright = blend(np.full((2, 2, 3), 255, np.uint8), flat(250, 200, 200, size=2), strength=1, keep_colors=True)
    assert tuple(bright[0, 0]) == (255, 240, 240)  # 215 to 255 of brightness: 40 more, 290 is cut off


def test_flicker_is_measured_in_static_regions() -> None:
    flicker = Flicker()
    source, result = flat(100, 100, 100), flat(50, 50, 50)
    flicker.add(source, result)
    moved = source.copy()
    moved[:10] += 40  # a quarter moves: what the result does there is no flicker
    moved[10:] += 1
    trembling = result.copy()
    trembling[:10] += 90
    trembling[10:20] += 6
    flicker.add(moved, trembling)
    assert flicker.of_result == pytest.approx(6 * 10 / 30)  # a third of the still rows by 6
    assert flicker.of_source == pytest.approx(1)


def test_flicker_of_enlarged_frames_and_without_static_regions() -> None:
    flicker = Flicker()
    assert flicker.of_result is None
    flicker.add(flat(0, 0, 0, size=8), flat(10, 10, 10, size=16))
    flicker.add(flat(2, 2, 2, size=8), flat(13, 13, 13, size=16))
    assert (flicker.of_result, flicker.of_source) == (pytest.approx(3), pytest.approx(2))
    restless = Flicker()
    for level in (0, 100, 0):
        restless.add(flat(level, level, level), flat(1, 1, 1))
    assert restless.of_result is None


def test_stillness_is_between_1_and_0() -> None:
    before = flat(100, 100, 100)
    for change, share in ((0, 1.0), (3, 1.0), (12, 0.0), (60, 0.0), (6, 2 / 3)):  # falls from 3 to 12
        after = before.copy()
        after[..., 1] += np.uint8(change)  # one channel is enough
        assert stillness(after, before)[20, 20] == pytest.approx(share, abs=1e-6)


def test_static_regions_are_smoothed_exponentially() -> None:
    smooth, source = TemporalSmoother(0.5), flat(100, 100, 100)
    levels = [smooth(source, flat(level, level, level))[0, 0, 0] for level in (80, 120, 80, 80)]
    assert levels == [80, 100, 90, 85]


def test_small_changes_converge() -> None:
    smooth, source = TemporalSmoother(0.9), flat(100, 100, 100)
    smooth(source, flat(80, 80, 80))
    for _ in range(60):
        last = smooth(source, flat(84, 84, 84))
    assert last[0, 0, 0] == 84  # rounded each time, it would stay at 80


def test_motion_leaves_no_trail_and_scene_cuts_are_kept() -> None:
    smooth = TemporalSmoother(0.9)
    smooth(flat(100, 100, 100), flat(20, 20, 20))
    source = flat(100, 100, 100)
    source[:, :20] = 200
    made = smooth(source, flat(220, 220, 220))
    assert (made[:, :16] == 220).all()
    assert (made[:, 24:] == 40).all()  # 0.9 * 20 + 0.1 * 220
    assert (smooth(flat(0, 0, 0), flat(7, 7, 7)) == 7).all()


def test_smoothing_removes_flicker() -> None:
    source = noise(1, 60, 80)
    random = np.random.default_rng(0)
    rough, calm, smooth = Flicker(), Flicker(), TemporalSmoother(0.8)
    for _ in range(20):
        result = random.integers(80, 120, source.shape, dtype=np.uint8)
        rough.add(source, result)
        calm.add(source, smooth(source, result))
    assert rough.of_result is not None
    assert calm.of_result is not None
    assert calm.of_result < 0.3 * rough.of_result
