"""The generated sample painting: usable for style transfer and the same on every machine."""

from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.samples.painting import ensure_sample_painting, paint_night
from datamodules.samples.painting.brush import Brush, Canvas, horizontal, shade_relief, vertical
from datamodules.samples.painting.pigments import mix

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def night() -> Pixels:
    return paint_night(0)


def test_painting_has_its_size(night: Pixels) -> None:
    assert night.shape == (800, 1024, 3)
    assert night.dtype == np.uint8


def test_painting_is_the_same_on_every_machine(night: Pixels) -> None:
    # Also with numpy 2.0, OpenCV 4.10, and without AVX; where it is meant to change, PAINTING has to be raised.
    assert sha256(night.tobytes()).hexdigest().startswith("ed21be6c19231d25213266f2a774bb56")


def test_painting_has_the_colors_of_a_night(night: Pixels) -> None:
    hue, saturation, value = np.moveaxis(cv2.cvtColor(night, cv2.COLOR_RGB2HSV), 2, 0)
    strong = (saturation > 90) & (value > 60)
    blue = strong & (hue > 100) & (hue < 125)  # of 180
    warm = strong & (hue > 8) & (hue < 32)
    green = strong & (hue > 35) & (hue < 90)
    assert blue.mean() > 0.35
    assert warm.mean() > 0.05
    assert green.mean() > 0.02
    assert night.max() > 245
    assert np.percentile(night, 2) < 25


def test_texture_follows_the_strokes(night: Pixels) -> None:
    gray = cv2.cvtColor(night, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255
    small = cv2.resize(gray, (327, 256), interpolation=cv2.INTER_AREA)  # as the loss sees it
    for image, window in ((gray, 12), (small, 4)):
        dx, dy = cv2.Sobel(image, cv2.CV_64F, 1, 0), cv2.Sobel(image, cv2.CV_64F, 0, 1)
        xx, yy, xy = (cv2.GaussianBlur(part, (0, 0), window) for part in (dx * dx, dy * dy, dx * dy))
        # the structure tensor: 1 where all edges of a neighbourhood run one way, near 0 in noise
        coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy)
        assert np.median(coherence) > 0.4
        assert np.sqrt(xx + yy).mean() > 0.2  # and there are edges nearly everywhere
        noise = np.random.default_rng(0).random(image.shape)
        dx, dy = cv2.Sobel(noise, cv2.CV_64F, 1, 0), cv2.Sobel(noise, cv2.CV_64F, 0, 1)
        xx, yy, xy = (cv2.GaussianBlur(part, (0, 0), window) for part in (dx * dx, dy * dy, dx * dy))
        assert np.median(np.hypot(xx - yy, 2 * xy) / (xx + yy)) < 0.2


def test_same_seed_gives_the_same_file_once(night: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_sample_painting(tmp_path / "one")
    np.testing.assert_array_equal(np.asarray(Image.open(first)), night)
    assert [path.name for path in first.parent.iterdir()] == [first.name]  # nothing half-written is left
    monkeypatch.setattr("datamodules.samples.painting.write.paint_night", None)
    assert ensure_sample_painting(tmp_path / "one") == first


def test_truncated_painting_is_painted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, night: Pixels) -> None:
    def cut_off(seed: int, *, progress: bool) -> Pixels:
        raise KeyboardInterrupt

    monkeypatch.setattr("datamodules.samples.painting.write.paint_night", cut_off)
    with pytest.raises(KeyboardInterrupt):
        ensure_sample_painting(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("datamodules.samples.painting.write.paint_night", lambda seed, progress: night)
    assert ensure_sample_painting(tmp_path).is_file()


@pytest.mark.slow
def test_another_seed_gives_another_painting(night: Pixels) -> None:
    other = paint_night(1)
    assert np.abs(other.astype(int) - night).mean() > 10
    np.testing.assert_allclose(other.mean((0, 1)), night.mean((0, 1)), atol=15)  # of the same kind


@pytest.mark.parametrize(("flow", "long", "short"), [(horizontal, 1, 0), (vertical, 0, 1)])
def test_stroke_follows_its_flow(flow: object, long: int, short: int) -> None:
    canvas = Canvas(100, 100, (0, 0, 0))
    brush = Brush(width=10, length=60, hair=2)
    canvas.strokes(np.random.default_rng(0), np.array([[50.0, 50.0]]), np.array([[200.0, 100.0, 50.0]]), flow, brush)  # type: ignore[arg-type]
    found = np.argwhere(canvas.paint[..., 0] > 60)
    extent = np.ptp(found, axis=0)
    assert 30 <= extent[long] <= 88
    assert 6 <= extent[short] <= 16
    red, green, blue = canvas.paint[found[:, 0], found[:, 1], :3].mean(0)
    assert red > 1.5 * green > 2 * blue


def test_hairs_of_a_stroke_differ() -> None:
    canvas = Canvas(100, 60, (0, 0, 0))
    brush = Brush(width=30, length=80, hair=3)
    canvas.strokes(np.random.default_rng(0), np.array([[50.0, 30.0]]), np.array([[128.0] * 3]), horizontal, brush)
    across = canvas.paint[18:42, 50]
    assert across[:, :3].mean(1).std() > 4
    assert across[:, 3].std() > 15


def test_light_falls_from_the_upper_left() -> None:
    paint = np.full((20, 20, 4), 100, np.uint8)
    paint[6:14, 6:14, 3] = 200
    lit = shade_relief(paint, 10).astype(int)[..., 0]
    assert lit[6, 6] > 100 > lit[13, 13]
    assert (lit[:3] == 100).all()
    assert lit[10, 10] == 100


def test_neighbours_on_the_palette_are_mixed() -> None:
    row = ((0, 0, 0), (100, 50, 10), (200, 0, 255))
    expected = [[0, 0, 0], [50, 25, 5], [150, 25, 132.5], [200, 0, 255]]
    np.testing.assert_allclose(mix(row, np.array([-1, 0.25, 0.75, 2])), expected)
