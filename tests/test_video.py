"""Videos are read upright frame by frame with their times, and written atomically with their sound."""

import resource
import signal
import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from callbacks.errors import OutputError
from callbacks.prediction.video_file import VideoFile, result_suffix
from datamodules.errors import DataError
from datamodules.io.video import TimedFrame, VideoReader, is_video
from tests.helpers.tiny_videos import NTSC, cut_inside_frame, ramp, sound_packets, turned, video


def frames_of(path: Path) -> list[TimedFrame]:
    return list(VideoReader(path))


def copy(source: Path, folder: Path) -> Path:
    """Reads a video and writes it again."""
    reader = VideoReader(source)
    target = folder / f"copy{result_suffix(source)}"
    first = next(iter(reader))
    with VideoFile(target, source=source, size=first.pixels.shape[:2], rate=reader.info.rate) as written:
        for frame in reader:
            written.write(frame.pixels, frame.time)
    return target


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(abs(ours.astype(int) - theirs.astype(int)).mean())


def test_frames_have_order_colors_and_times(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 12)
    frames = frames_of(path)
    assert [frame.time for frame in frames] == [number / NTSC for number in range(12)]
    for number, frame in enumerate(frames):
        assert distance(frame.pixels, ramp(number)) < 3
    capture = cv2.VideoCapture(str(path))  # an independent reader
    assert all(distance(frame.pixels, capture.read()[1][..., ::-1]) < 3 for frame in frames)


def test_video_can_be_read_again(tmp_path: Path) -> None:
    reader = VideoReader(video(tmp_path / "a.mp4", 5))
    assert len(list(reader)) == len(list(reader)) == 5
    assert reader.info.frames == 5


def test_frame_rate_is_recovered_from_milliseconds(tmp_path: Path) -> None:
    frames = frames_of(video(tmp_path / "a.mkv", 12))
    assert [frame.time for frame in frames] == [number / NTSC for number in range(12)]


def test_rotated_video_is_read_upright(tmp_path: Path) -> None:
    path = turned(video(tmp_path / "a.mp4", 3, options={"movflags": "faststart"}))
    for number, frame in enumerate(frames_of(path)):
        assert frame.pixels.shape == (64, 48, 3)
        assert distance(frame.pixels, np.rot90(ramp(number), -1)) < 3


@pytest.mark.parametrize(
    ("name", "codec", "sound", "rate", "suffix"),
    [
        ("a.mp4", "libx264", "aac", 44100, ".mp4"),
        ("a.mov", "libx264", "pcm_s16le", 44100, ".mov"),
        ("a.mkv", "libx264", "aac", 44100, ".mkv"),
        ("a.avi", "mpeg4", "libmp3lame", 44100, ".mp4"),
        ("a.webm", "libvpx-vp9", "libopus", 48000, ".mp4"),
        ("a.mkv", "libx264", "pcm_u8", 44100, ".mkv"),
        ("a.avi", "mpeg4", "pcm_u8", 44100, ".mkv"),  # MP4 does not hold it
    ],
)
def test_size_rate_and_sound_are_kept(
    tmp_path: Path, name: str, codec: str, sound: str, rate: int, suffix: str
) -> None:
    source = video(tmp_path / name, 30, codec=codec, sound=sound, sound_rate=rate)
    made = copy(source, tmp_path / "out")
    assert made.suffix == suffix
    before, after = VideoReader(source), VideoReader(made)
    assert [frame.time for frame in after] == [frame.time for frame in before]
    if codec != "mpeg4":  # whose AVI begins with a gap
        assert after.info.rate == NTSC
    for ours, theirs in zip(after, before, strict=True):
        assert distance(ours.pixels, theirs.pixels) < 2
    packets = sound_packets(source)
    assert packets
    assert b"".join(sound_packets(made)) == b"".join(packets)  # whatever the size of packets of plain samples
    with av.open(str(source)) as old, av.open(str(made)) as new:
        assert new.streams.audio[0].codec.canonical_name == old.streams.audio[0].codec.canonical_name
        starts = [float((stream.start_time or 0) * stream.time_base) for stream in (*old.streams, *new.streams)]
        assert max(starts) - min(starts) < 0.03  # image and sound begin together


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [Fraction(n, 100) for n in (0, 7, 9, 30, 34, 60)]
    made = copy(video(tmp_path / "a.mp4", 6, times=times, sound=None), tmp_path / "out")
    ours = [frame.time for frame in frames_of(made)]
    np.testing.assert_allclose([float(time) for time in ours], [float(time) for time in times], atol=1e-4)


def test_odd_sizes_and_missing_sound_are_kept(tmp_path: Path) -> None:
    images = [ramp(number, 45, 63) for number in range(4)]
    source = video(tmp_path / "a.webm", images, codec="libvpx-vp9", sound=None)
    (frame, *_) = frames_of(copy(source, tmp_path / "out"))
    assert frame.pixels.shape == (45, 63, 3)
    assert distance(frame.pixels, images[0]) < 4


def test_result_has_color_metadata(tmp_path: Path) -> None:
    with av.open(str(copy(video(tmp_path / "a.mp4", 3), tmp_path / "out"))) as made:
        context = made.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


def test_animations_are_videos_and_other_gifs_are_not(tmp_path: Path) -> None:
    moving = video(tmp_path / "a.gif", 5, rate=Fraction(10), codec="gif", sound=None)
    Image.fromarray(ramp(0)).save(tmp_path / "still.gif")
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    assert [is_video(tmp_path / name) for name in ("a.gif", "still.gif", "broken.gif", "a.MOV", "a.png")] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert [frame.time for frame in frames_of(copy(moving, tmp_path / "out"))] == [Fraction(n, 10) for n in range(5)]
    moving.write_bytes(moving.read_bytes()[:-200])
    reader = VideoReader(moving)
    assert list(reader)
    assert "cut short" in reader.problems[0]


def test_truncated_video_is_read_up_to_the_damage(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 30, sound=None, options={"movflags": "faststart"})
    reader = VideoReader(cut_inside_frame(path, 20))
    frames = list(reader)
    assert len(frames) == 20
    for number, frame in enumerate(frames[:18]):  # what comes after may lack the frames it is made from
        assert distance(frame.pixels, ramp(number)) < 3
    assert any("cut short" in problem and "of 1.00 s" in problem for problem in reader.problems)
    assert all(problem.startswith(str(path)) for problem in reader.problems)


def test_truncated_matroska_and_avi_are_detected(tmp_path: Path) -> None:
    for name, codec in (("a.mkv", "libx264"), ("a.avi", "mpeg4")):
        path = video(tmp_path / name, 30, codec=codec, sound="aac" if codec == "libx264" else "libmp3lame")
        whole = VideoReader(path)
        assert list(whole)
        assert whole.problems == []
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
        reader = VideoReader(path)
        assert 3 < len(list(reader)) < 28
        assert "cut short" in reader.problems[0]


def test_damaged_frame_is_skipped(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 30, sound=None)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    position, size = packets[12]
    assert position is not None
    data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    reader = VideoReader(path)
    times = [frame.time for frame in reader]
    assert len(times) == 29
    assert times[-1] == 29 / NTSC  # all others where they were
    assert "1 damaged frame was left out" in reader.problems[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.mp4", None, "no such file"),
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"no video at all", "is not a video that can be read"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: .*{message}"):
        VideoReader(tmp_path / name)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "song.mp4"), "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(bytes(1600))
    with pytest.raises(DataError, match="only sound"):
        VideoReader(tmp_path / "song.mp4")


def test_video_is_written_atomically(tmp_path: Path) -> None:
    source, target = video(tmp_path / "a.mp4", 3), tmp_path / "out/a.mp4"
    target.parent.mkdir()
    target.write_bytes(b"the one before")

    def stop() -> None:
        with VideoFile(target, source=source, size=(48, 64), rate=NTSC) as written:
            written.write(ramp(0), Fraction(0))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stop()
    assert [file.name for file in target.parent.iterdir()] == ["a.mp4"]
    assert target.read_bytes() == b"the one before"


def test_full_disk_is_reported(tmp_path: Path) -> None:
    source, target = video(tmp_path / "a.mp4", 3), tmp_path / "out/a.mp4"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        noise = np.random.default_rng(0)
        with VideoFile(target, source=source, size=(240, 320), rate=NTSC) as written:
            for number in range(60):
                written.write(noise.integers(0, 256, (240, 320, 3), dtype=np.uint8), number / NTSC)

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(OutputError, match=r"a\.mp4 could not be written \(File too large\)"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(target.parent.iterdir()) == []


def test_unwritable_folder_is_reported(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", 1)
    (tmp_path / "out").write_bytes(b"a file where the folder should be")
    with (
        pytest.raises(OutputError, match=r"a\.mp4 could not be written"),
        VideoFile(tmp_path / "out/a.mp4", source=source, size=(48, 64), rate=NTSC),
    ):
        pass


@pytest.mark.parametrize("name", ["12:30.mp4", "concat:good.mp4", "file:x.mp4", "http:a.mp4"])
def test_names_with_a_colon_are_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "good.mp4", 2)
    made = video(tmp_path / "made.mp4", 5)
    made.rename(tmp_path / name)
    assert len(frames_of(Path(name))) == 5
    made = copy(Path(name), tmp_path / "out")
    assert len(frames_of(made)) == 5
    assert sound_packets(made)


def test_a_playlist_called_mp4_opens_no_other_file(tmp_path: Path) -> None:
    video(tmp_path / "good.mp4", 2)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ngood.mp4\n#EXT-X-ENDLIST\n")
    (tmp_path / "cat.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    for name in ("list.mp4", "cat.mp4"):
        with pytest.raises(DataError, match=f"{name}: is not a video that can be read"):
            VideoReader(tmp_path / name)


@pytest.mark.parametrize("duration", [None, 0, 70])
def test_gif_frames_with_and_without_control_blocks(duration: int | None, tmp_path: Path) -> None:
    """Pillow writes no graphic control blocks without durations; browsers display such frames for 1/10 s."""
    images = [Image.fromarray(ramp(20 * number)).quantize(64) for number in range(4)]
    options = {} if duration is None else {"duration": duration}
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], **options)
    blocks = (tmp_path / "a.gif").read_bytes().count(b"\x21\xf9\x04")
    assert blocks == 4 if duration else blocks < 4
    reader = VideoReader(tmp_path / "a.gif")
    frames = list(reader)
    step = Fraction(duration or 100, 1000)
    assert reader.info.frames == 4
    assert [frame.time for frame in frames] == [number * step for number in range(4)]
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.pixels, np.array(image.convert("RGB")))
    assert reader.problems == []
