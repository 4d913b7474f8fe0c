"""Videos through a trainer: frames are processed, counted and written in constant memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lightning import Trainer
from numpy.typing import NDArray

from datamodules.io.video import VideoReader
from datamodules.prediction.image_list import Listed
from experiments.cli.usage import UsageError
from experiments.commands.predict_videos import check_single_process
from tests.helpers.inverted_video import finished, invert_videos, trainer
from tests.helpers.tiny_videos import NTSC, cut_inside_frame, ramp, sound_packets, video


def test_every_frame_is_processed_and_the_sound_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = video(tmp_path / "a.mp4", 12)
    account = invert_videos(source, out=tmp_path / "out", progress=True)
    made = tmp_path / "out/result/deep/a.mp4"
    frames = list(VideoReader(made))
    assert [frame.time for frame in frames] == [number / NTSC for number in range(12)]
    for number, frame in enumerate(frames):
        assert abs(frame.pixels.astype(int) - (255 - ramp(number).astype(int))).mean() < 4
    assert sound_packets(made) == sound_packets(source)
    assert account.problems == []
    told = "\n".join(account.lines)
    assert "a.mp4: 12 frames in" in told
    assert "result/deep/a.mp4  H.264, 64 x 48, sound copied" in told
    assert "flicker" in told
    bar = capsys.readouterr().err
    assert "a.mp4: 100%" in bar
    assert "12/12" in bar


def test_videos_of_different_sizes(tmp_path: Path) -> None:
    videos = [
        video(tmp_path / "a.mp4", 3),
        video(tmp_path / "b.mkv", [ramp(0, 32, 40)] * 4, sound=None),
        video(tmp_path / "c.gif", 3, codec="gif", sound=None),
    ]
    account = invert_videos(*videos, out=tmp_path, scale=2)
    sizes = [next(iter(VideoReader(tmp_path / f"result/deep/{n}"))).pixels.shape for n in ("a.mp4", "b.mkv", "c.mp4")]
    assert sizes == [(96, 128, 3), (64, 80, 3), (96, 128, 3)]
    assert sum("sound copied" in line for line in account.lines) == 1


def test_postprocessing_gets_the_original_frame(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", 3)
    invert_videos(source, out=tmp_path / "out", look=finished(lambda _, original: original))
    for ours, theirs in zip(VideoReader(tmp_path / "out/result/deep/a.mp4"), VideoReader(source), strict=True):
        assert abs(ours.pixels.astype(int) - theirs.pixels.astype(int)).mean() < 2


def test_truncated_video_is_processed_up_to_the_damage_and_reported(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", 30, sound=None, options={"movflags": "faststart"})
    (tmp_path / "b.mp4").write_bytes(b"no video")
    account = invert_videos(tmp_path / "b.mp4", cut_inside_frame(source, 20), out=tmp_path / "out")
    assert len(list(VideoReader(tmp_path / "out/result/deep/a.mp4"))) == 20
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["a.mp4"]
    assert any("b.mp4: is not a video" in problem for problem in account.problems)
    assert any("a.mp4: is cut short" in problem for problem in account.problems)


def test_video_without_a_complete_frame_writes_nothing(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", 10, sound=None, options={"movflags": "faststart"})
    account = invert_videos(cut_inside_frame(source, 0), out=tmp_path / "out")
    assert len(account.problems) == 1
    assert "no frame of it can be decoded" in account.problems[0]
    assert account.lines == []
    assert not list(tmp_path.rglob("out/**/*.*"))


def test_second_run_replaces_the_file_and_reports_it(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", 2)
    assert "replaced" not in "".join(invert_videos(source, out=tmp_path / "out").lines)
    assert "the existing file was replaced" in "".join(invert_videos(source, out=tmp_path / "out").lines)


def test_error_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    calls: list[int] = []

    def fail(result: NDArray[np.uint8], original: NDArray[np.uint8]) -> NDArray[np.uint8]:
        calls.append(1)
        if len(calls) == 5:
            raise RuntimeError("finished badly")
        return result

    with pytest.raises(RuntimeError, match="finished badly"):
        invert_videos(video(tmp_path / "a.mp4", 12), out=tmp_path / "out", look=finished(fail))
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_several_processes_are_refused_in_one_line(tmp_path: Path) -> None:
    videos = [Listed(path=Path("a.mp4"), name="a")]
    several = Trainer(
        accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False,
        enable_progress_bar=False,
    )  # fmt: skip
    check_single_process(several, [])
    check_single_process(trainer(), videos)
    with pytest.raises(UsageError, match=r"a\.mp4: videos are processed by one process: add --trainer\.devices 1"):
        check_single_process(several, videos)


# VmHWM is the peak of this program alone; ru_maxrss would keep that of the process it was started from.
_MEASURE = """
import sys
from pathlib import Path
from tests.helpers.inverted_video import invert_videos
invert_videos(Path(sys.argv[1]), out=Path(sys.argv[2]))
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(peak.split()[1])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """600 frames of 320 x 240 are 138 MB, and as much again processed; 60 frames fill x264's look-ahead."""
    peaks = []
    for length in (60, 600):
        source = video(tmp_path / f"{length}.mp4", length, draw=lambda number: ramp(number, 240, 320))
        words = [sys.executable, "-W", "ignore", "-c", _MEASURE, str(source), str(tmp_path / "out")]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 40, f"{peaks} MB"
