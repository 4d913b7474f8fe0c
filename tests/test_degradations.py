"""Degradations by their effect, and downscaling against files of MATLAB."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data, filters

from datamodules.images.corruptions import Blur, Corruption, FewColors, Gray, Jpeg, Noise, Tilt
from datamodules.images.degradation import Degradation, downscale
from tests.helpers.real_data import needs, real
from tests.helpers.tiny_images import enlarge

SET5 = real("set5")
needs_set5 = needs(SET5)

STEPS = [Jpeg(), Noise(), Blur(), FewColors(), Gray(), Tilt()]


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.ascontiguousarray(data.astronaut()[:160, 100:300])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@needs_set5
@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_matches_matlab_within_a_fifth_of_a_gray_level(scale: int) -> None:
    found = sorted((SET5 / f"x{scale}").glob("*_HR.png"))
    assert len(found) == 5
    for path in found:
        high = np.array(Image.open(path).convert("RGB"))
        low = np.array(Image.open(str(path).replace("_HR", "_LR")).convert("RGB"))
        difference = np.abs(downscale(high, scale, "bicubic").astype(int) - low)
        assert difference.mean() < 0.25, path.name


def test_area_gives_the_mean_of_each_square() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[:2, :2, 0] = [[10, 20], [30, 40]]
    image[2:, 4:, 2] = 200
    result = downscale(image, 2, "area")
    assert result.shape == (2, 3, 3)
    assert result[0, 0].tolist() == [25, 0, 0]
    assert result[1, 2].tolist() == [0, 0, 200]
    assert result.sum() == 225
    third = np.zeros((3, 3, 3), np.uint8)
    third[0, 0], third[2, 2] = 90, 45
    assert downscale(third, 3, "area").ravel().tolist() == [15, 15, 15]


@pytest.mark.parametrize("kernel", ["bicubic", "area"])
def test_downscaling_does_not_alias_or_shift(kernel: str) -> None:
    """Stripes finer than the new pixels become uniform gray; a ramp stays the same ramp at the new pixel centers."""
    stripes = np.tile(np.array([0, 255], np.uint8)[None, :, None], (16, 8, 3))
    gray = downscale(stripes, 4, kernel)  # type: ignore[arg-type]
    assert np.abs(gray[:, 1:-1].astype(int) - 128).max() <= 2
    ramp = np.tile(np.arange(0, 64, dtype=np.uint8)[None, :, None], (16, 1, 3)) * 3
    small = downscale(ramp, 2, kernel)[8 // 2, 4:-4, 0]  # type: ignore[arg-type]
    expected = 3 * (2 * np.arange(4, 28) + 0.5)
    assert np.abs(small - expected).max() <= 0.5


def test_scale_must_divide_the_image_and_1_changes_nothing(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="200 x 160 pixels cannot be made exactly 3 times smaller"):
        downscale(image, 3, "area")
    assert np.array_equal(downscale(image, 1, "bicubic"), image)
    assert np.array_equal(enlarge(image, 1), image)


def test_enlarging_restores_downscaled_images_up_to_detail(image: NDArray[np.uint8]) -> None:
    smooth = cv2.GaussianBlur(image, (0, 0), 3)
    again = enlarge(downscale(smooth, 2, "bicubic"), 2)
    assert again.shape == smooth.shape
    assert np.abs(again.astype(int) - smooth)[8:-8, 8:-8].mean() < 1


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_degradation_keeps_shape_and_input_and_is_deterministic(step: Corruption, image: NDArray[np.uint8]) -> None:
    before = image.copy()
    result = step(image, rng(3))
    assert result.shape == image.shape
    assert result.dtype == np.uint8
    assert result.flags.writeable
    assert not np.array_equal(result, image)
    assert np.array_equal(image, before)
    assert np.array_equal(step(image, rng(3)), result)


@pytest.mark.parametrize("make", [lambda: Jpeg(), lambda: Noise(), lambda: Blur(), lambda: FewColors(), lambda: Tilt()])
def test_degradation_with_a_range_depends_on_the_seed(make: Callable[[], Corruption], image: NDArray[np.uint8]) -> None:
    results = [make()(image, rng(seed)) for seed in range(4)]
    assert any(not np.array_equal(results[0], other) for other in results[1:])


def test_noise_has_the_requested_standard_deviation() -> None:
    gray = np.full((200, 200, 3), 128, np.uint8)
    noisy = Noise(sigma=(20, 20))(gray, rng()).astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.01)
    assert noisy.mean() == pytest.approx(128, abs=0.2)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.02


def test_noise_is_clipped_and_does_not_wrap_around() -> None:
    white = np.full((50, 50, 3), 250, np.uint8)
    assert Noise(sigma=(20, 20))(white, rng()).min() > 128


def test_lower_jpeg_quality_has_a_larger_error(image: NDArray[np.uint8]) -> None:
    distances = [np.abs(Jpeg(quality=(q, q))(image, rng()).astype(int) - image).mean() for q in (5, 20, 60, 95)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 2 < 4 < distances[0]


def test_jpeg_keeps_the_channel_order() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    assert np.abs(Jpeg(quality=(95, 95))(red, rng()).astype(int) - red).max() <= 2


def test_blur_equals_scikit_image_gaussian(image: NDArray[np.uint8]) -> None:
    expected = filters.gaussian(image, sigma=1.5, mode="mirror", preserve_range=True, channel_axis=-1)
    assert np.abs(Blur(sigma=(1.5, 1.5))(image, rng()) - expected).max() < 1.5


def test_reduced_palette_has_few_colors_near_the_original(image: NDArray[np.uint8]) -> None:
    result = FewColors(colors=(16, 16))(image, rng())
    assert 8 <= len(np.unique(result.reshape(-1, 3), axis=0)) <= 16
    assert np.abs(result.astype(int) - image).mean() < 16


def test_gray_uses_bt601_weights() -> None:
    colors = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    gray = Gray()(colors, rng())
    assert gray[0, :, 0].tolist() == [76, 150, 29, 255]
    assert (gray == gray[..., :1]).all()


def test_tilt_rotates_counterclockwise_and_reflects_the_border() -> None:
    image = np.full((101, 101, 3), 100, np.uint8)
    image[49:52, 89:92] = 200
    turned = Tilt(degrees=(10, 10))(image, rng())[..., 0].astype(int)
    rows, columns = np.nonzero(turned > 150)
    angle = np.deg2rad(10)
    assert rows.mean() == pytest.approx(50 - 40 * np.sin(angle), abs=0.5)
    assert columns.mean() == pytest.approx(50 + 40 * np.cos(angle), abs=0.5)
    assert turned.min() > 80  # cubic interpolation undershoots by the bright spot; black corners would be 0


def test_pipeline_keeps_order_and_depends_on_the_seed(image: NDArray[np.uint8]) -> None:
    degrade = Degradation(before=[Blur(sigma=(2, 2))], kernel="area", after=[Noise(sigma=(5, 5)), Gray()])
    result = degrade(image, scale=2, seed=4)
    noises = np.random.default_rng(4)
    noises.uniform(2, 2)  # what the blur draws
    expected = Gray()(Noise(sigma=(5, 5))(downscale(Blur(sigma=(2, 2))(image, rng()), 2, "area"), noises), rng())
    assert np.array_equal(result, expected)
    assert np.array_equal(degrade(image, scale=2, seed=4), result)
    assert not np.array_equal(degrade(image, scale=2, seed=5), result)


def test_pipeline_at_scale_1_keeps_the_size(image: NDArray[np.uint8]) -> None:
    assert np.array_equal(Degradation()(image, scale=1, seed=0), image)
    assert np.array_equal(Degradation(after=[Gray()])(image, scale=1, seed=0), Gray()(image, rng()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jpeg(quality=(0, 50)), r"quality must be \(lowest, highest\), between 1 and 95, not \(0, 50\)"),
        (lambda: Jpeg(quality=(50, 20)), r"quality .* not \(50, 20\)"),
        (lambda: Noise(sigma=(-1, 2)), r"sigma must be \(lowest, highest\), 0 or more"),
        (lambda: Blur(sigma=(0, 2)), "sigma .* 0.01 or more"),
        (lambda: FewColors(colors=(1, 300)), "colors .* between 2 and 256"),
        (lambda: Tilt(degrees=(-90, 0)), "degrees .* between -45 and 45"),
    ],
)
def test_invalid_ranges_are_refused(make: Callable[[], Corruption], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
