"""Smoothing along the motion of a video: on a pan over an image, whose true motion is known."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from callbacks.prediction.motion import Motion, estimate_motion, warp
from callbacks.prediction.temporal_smoothing import TemporalSmoother, stillness
from datamodules.errors import DataError
from datamodules.io.video import VideoReader
from tests.helpers.tiny_videos import video

Frame = NDArray[np.uint8]
STEP = 3  # pixels per frame


def pan(frames: int, height: int = 120, width: int = 160) -> list[Frame]:
    """A camera that turns to the right over an image."""
    image = cv2.resize(skimage.data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(image[60 : 60 + height, STEP * n : STEP * n + width]) for n in range(frames)]


def compensated(frames: list[Frame]) -> float:
    """Mean change of a pixel that is followed along the true motion, in gray levels."""
    pairs = pairwise(frames)
    return float(np.mean([np.abs(now[:, :-STEP].astype(int) - then[:, STEP:]).mean() for then, now in pairs]))


def test_flow_of_a_pan_is_its_step() -> None:
    first, second = pan(2)
    motion = estimate_motion(first, second)
    inside = motion.flow[10:-10, 10:-20]
    assert np.median(inside[..., 0]) == pytest.approx(STEP, abs=0.3)
    assert np.median(inside[..., 1]) == pytest.approx(0, abs=0.3)
    assert motion.visible[10:-10, 10:-20].mean() > 0.9
    assert motion.visible[:, -1].max() == 0  # it was outside of the frame before


def test_warp_by_whole_pixels_is_a_shift() -> None:
    (frame,) = pan(1)
    flow = np.zeros((120, 160, 2), np.float32)
    flow[..., 0], flow[..., 1] = 4, -2
    np.testing.assert_array_equal(warp(frame, flow)[10:-10, 10:-10], frame[8:-12, 14:-6])


def test_motion_of_enlarged_frames_is_enlarged() -> None:
    small = Motion(np.full((40, 50, 2), 2, np.float32), np.ones((40, 50), np.float32))
    large = small.resized(80, 150)
    assert large.flow.shape == (80, 150, 2)
    assert (large.flow[..., 0] == 6).all()
    assert (large.flow[..., 1] == 4).all()


def test_flicker_along_the_motion_is_at_most_half_of_that_without_motion() -> None:
    """Against the smoothing without motion, which switches itself off where the source moves."""
    source, random = pan(16), np.random.default_rng(0)
    results = [np.clip(frame + random.normal(0, 12, frame.shape), 0, 255).astype(np.uint8) for frame in source]
    static: list[Frame] = []
    for number, result in enumerate(results):
        current = result.astype(np.float32)
        if number:
            weight = 0.8 * stillness(source[number], source[number - 1])[..., None]
            current += weight * (static[-1] - current)
        static.append(current.round().astype(np.uint8))
    smooth = TemporalSmoother(0.8)
    moved = [smooth(frame, result) for frame, result in zip(source, results, strict=True)]
    assert compensated(moved[4:]) < 0.5 * compensated(static[4:])
    # and not by blurring: the results stay as close to the source as without noise
    errors = [np.abs(made[10:-10, 10:-20].astype(int) - frame[10:-10, 10:-20]).mean() for made, frame in
              ((moved[-1], source[-1]), (results[-1], source[-1]))]  # fmt: skip
    assert errors[0] < 0.75 * errors[1]


def test_uncovered_background_is_not_blended() -> None:
    """A square that moves by 20 pixels uncovers background, where the last frame shows the square."""
    texture = cv2.resize(skimage.data.grass(), (128, 128), interpolation=cv2.INTER_AREA)
    frames = []
    for left in (30, 50):
        frame = np.repeat(texture[..., None], 3, axis=2)
        frame[40:80, left : left + 40] = np.repeat(255 - texture[20:60, 20:60, None], 3, axis=2)
        frames.append(frame)
    smooth = TemporalSmoother(0.9)
    smooth(frames[0], np.full_like(frames[0], 20))
    made = smooth(frames[1], np.full_like(frames[1], 220))
    assert made[44:76, 32:46].mean() > 200  # uncovered: the new frame
    assert made[:30].mean() < 60  # static: 0.9 * 20 + 0.1 * 220 = 40


def test_tiny_frames_are_taken_as_static() -> None:
    frame = np.zeros((8, 9, 3), np.uint8)
    motion = estimate_motion(frame, frame + 1)
    assert not motion.flow.any()
    assert motion.visible.all()


def test_video_with_changing_size_is_refused(tmp_path: Path) -> None:
    parts = [
        video(tmp_path / f"{n}.ts", [np.full((h, 64, 3), 99, np.uint8)] * 8, sound=None) for n, h in ((0, 48), (1, 64))
    ]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(DataError, match=r"whole\.ts: its frames are 64 x 48 px and from .* s on 64 x 64: convert it"):
        list(VideoReader(whole))
