"""The video of the benchmark video_flicker: its flicker is measured along its true motion."""

import numpy as np
import pytest
import skimage

from callbacks.prediction.temporal_smoothing import TemporalSmoother
from experiments.benchmarks import video_flicker
from experiments.benchmarks.video_flicker import InPlace, flicker, video

SIZE, SHIFT = (96, 128), (3.0, 1.0)


@pytest.fixture
def _without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_flicker, "NOISE", 0.0)


@pytest.mark.usefixtures("_without_noise")
def test_a_film_moves_by_its_shift() -> None:
    image = skimage.data.astronaut()
    frames = list(video(image, frames=4, size=SIZE, shift=SHIFT))
    np.testing.assert_array_equal(frames[3], image[3 : 3 + 96, 9 : 9 + 128])
    assert flicker(frames, SHIFT) == 0
    assert flicker(frames, (-3.0, -1.0)) > 5


def test_noise_of_a_film_is_measured_and_smoothed_along_its_motion() -> None:
    frames = list(video(skimage.data.astronaut(), frames=8, size=SIZE, shift=SHIFT))
    # The mean absolute difference of two normal variables is 2 / sqrt(pi) standard deviations.
    assert flicker(frames, SHIFT) == pytest.approx(2 / np.sqrt(np.pi) * video_flicker.NOISE, rel=0.1)
    random = np.random.default_rng(1)
    results = [frame // 2 + random.integers(0, 40, frame.shape, dtype=np.uint8) for frame in frames]

    def smoothed(smooth: video_flicker.Smooth) -> float:
        return flicker([smooth(*pair) for pair in zip(frames, results, strict=True)], SHIFT)

    assert smoothed(TemporalSmoother(0.8)) < 0.5 * smoothed(InPlace(0.8))


def test_a_video_stays_within_its_image() -> None:
    with pytest.raises(ValueError, match="60 frames of 128 x 96 px leave the image"):
        list(video(skimage.data.astronaut()[:128, :192], frames=60, size=SIZE, shift=SHIFT))
