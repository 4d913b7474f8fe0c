"""Videos of segmentation and super-resolution: lossless masks, cut-outs with alpha, composites, enlarged frames."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from callbacks.prediction.video_file import FFV1, PRORES, VideoCodec, VideoFile
from datamodules.io.image import read_image
from datamodules.io.video import VideoReader
from datamodules.prediction.background_video import BackgroundVideo
from experiments.cli.main import main
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint
from tests.helpers.tiny_videos import Frame, ramp, sound_packets, video

QUIET = ["--trainer.accelerator=cpu", "--data.num_workers=0", "--trainer.enable_progress_bar=false"]


def stored(path: Path, pixels: str) -> list[NDArray[np.uint8]]:
    """The frames as FFmpeg decodes them."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=pixels) for frame in container.decode(video=0)]


def luminance(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Of which H.264 keeps every pixel, but only one color for four."""
    return np.asarray(pixels @ np.array([0.2126, 0.7152, 0.0722]))


def write(path: Path, frames: list[Frame], codec: VideoCodec, source: Path) -> Path:
    height, width = frames[0].shape[:2]
    with VideoFile(path, source=source, size=(height, width), rate=Fraction(25), codec=codec, sound=False) as file:
        for number, frame in enumerate(frames):
            file.write(frame, Fraction(number, 25))
    return path


def test_lossless_videos_keep_every_value(tmp_path: Path) -> None:
    frames = [np.random.default_rng(number).integers(0, 256, (37, 53), dtype=np.uint8) for number in range(4)]
    made = write(tmp_path / "mask.mkv", frames, FFV1, video(tmp_path / "a.mp4", 2))
    for ours, theirs in zip(stored(made, "gray"), frames, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with av.open(str(made)) as container:
        assert not container.streams.audio


def test_cutout_videos_keep_colors_and_alpha(tmp_path: Path) -> None:
    alpha = np.zeros((48, 64), np.uint8)
    alpha[12:36, 16:48] = 255
    alpha[12:36, 47] = 128
    frames = [np.dstack([ramp(number), alpha]) for number in range(3)]
    made = write(tmp_path / "cutout.mov", frames, PRORES, video(tmp_path / "a.mp4", 2))
    for ours, theirs in zip(stored(made, "rgba"), frames, strict=True):
        assert np.abs(ours[..., 3].astype(int) - alpha).max() <= 2
        inside = np.abs(ours[14:34, 18:44, :3].astype(int) - theirs[14:34, 18:44, :3])
        assert inside.mean() < 1.5


def test_background_video_follows_the_time_and_starts_again(tmp_path: Path) -> None:
    levels = [40, 120, 200]
    frames = [np.full((32, 32, 3), level, np.uint8) for level in levels]
    reader = VideoReader(video(tmp_path / "b.mp4", frames, rate=Fraction(10), sound=None))
    background = BackgroundVideo(reader)
    asked = {0.0: 40, 0.05: 40, 0.1: 120, 0.25: 200, 0.29: 200, 0.3: 40, 0.45: 120, 0.65: 40, 3.75: 120}
    for time, level in asked.items():
        assert abs(int(background.at(Fraction(str(time))).mean()) - level) <= 3, time
    assert abs(int(background.at(Fraction(0)).mean()) - 40) <= 3  # for the next video
    single = BackgroundVideo(VideoReader(video(tmp_path / "one.mp4", frames[:1], rate=Fraction(10), sound=None)))
    assert all(abs(int(single.at(Fraction(time)).mean()) - 40) <= 3 for time in range(4))


def test_segmentation_writes_masks_overlays_cutouts_and_composites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The masks are those of the same frames as images; composites are the cut-outs before the background."""
    monkeypatch.chdir(tmp_path)
    checkpoint = segment_checkpoint(tmp_path / "net.ckpt")
    source = video(tmp_path / "clip.mp4", 5)
    video(tmp_path / "behind.mp4", [np.full((20, 30, 3), 250, np.uint8)] * 2, sound=None)
    for number, frame in enumerate(VideoReader(source)):
        Image.fromarray(frame.pixels).save(tmp_path / f"frame{number}.png")
    command = ["--task=segment", "predict", *QUIET, f"--ckpt_path={checkpoint}"]
    assert main([*command, "clip.mp4", "--out=videos", "--background=behind.mp4"]) == 0
    printed = capsys.readouterr().out
    assert "clip.mp4: 5 frames in" in printed
    assert "mask/clip.mkv  FFV1, lossless, 64 x 48, no sound" in printed
    assert "cutout/clip.mov  ProRes 4444 with alpha, 64 x 48, no sound" in printed
    assert "composite/clip.mp4  H.264, 64 x 48, sound copied" in printed
    assert "flicker" not in printed
    assert main([*command, *(f"frame{number}.png" for number in range(5)), "--out=images"]) == 0
    masks = stored(tmp_path / "videos/mask/clip.mkv", "gray")
    for number, mask in enumerate(masks):
        np.testing.assert_array_equal(mask, read_image(tmp_path / f"images/mask/frame{number}.png")[..., 0])
    assert len(masks) == 5
    assert 0.1 < np.mean(masks) / 255 < 0.9
    assert sound_packets(tmp_path / "videos/composite/clip.mp4") == sound_packets(source)
    cutout = stored(tmp_path / "videos/cutout/clip.mov", "rgba")[2].astype(float)
    composite = stored(tmp_path / "videos/composite/clip.mp4", "rgb24")[2]
    alpha = cutout[..., 3:] / 255
    assert np.abs(luminance(composite) - luminance(cutout[..., :3] * alpha + 250 * (1 - alpha))).mean() < 4


def test_kinds_that_videos_do_not_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = segment_checkpoint(tmp_path / "net.ckpt")
    video(tmp_path / "clip.mp4", 2)
    Image.fromarray(ramp(0)).save("still.png")
    command = ["--task=segment", "predict", *QUIET, f"--ckpt_path={checkpoint}"]
    for words, message in (
        (["clip.mp4", "--outputs=mask,coco"], "--outputs coco is for images: for videos choose from mask, overlay"),
        (["clip.mp4", "--outputs=submission"], "--outputs submission is for images"),
        (["still.png", "clip.mp4", "--background=clip.mp4"], "--background clip.mp4 is a video, but still.png is an"),
    ):
        assert main([*command, *words]) == 2
        assert message in capsys.readouterr().err


def test_super_resolution_enlarges_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = sr_checkpoint(tmp_path / "net.ckpt")
    source = video(tmp_path / "clip.mp4", 4)
    first = next(iter(VideoReader(source)))
    Image.fromarray(first.pixels).save(tmp_path / "first.png")
    command = ["--task=sr", "predict", *QUIET, f"--ckpt_path={checkpoint}", "--out=out"]
    assert main([*command, "clip.mp4", "first.png"]) == 0
    assert "result/clip.mp4  H.264, 128 x 96, sound copied" in capsys.readouterr().out
    frames = list(VideoReader(tmp_path / "out/result/clip.mp4"))
    assert [frame.time for frame in frames] == [frame.time for frame in VideoReader(source)]
    expected = read_image(tmp_path / "out/result/first.png")
    assert np.abs(luminance(frames[0].pixels) - luminance(expected)).mean() < 4
