"""``predict`` for videos: one after the other, frame by frame, each with its report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning import LightningModule, Trainer

from callbacks.prediction.video_file import result_suffix
from callbacks.prediction.video_writer import VideoTrack, VideoWriter
from datamodules.errors import DataError
from datamodules.io.video import VideoReader
from datamodules.prediction.image_list import Listed
from datamodules.prediction.video import VideoFrames, VideoPredictData
from experiments.cli.usage import UsageError
from experiments.commands.predict_into import predict_into
from experiments.runs.folder import relative_to_here
from experiments.tasks.prediction import VideoFinish


@dataclass(kw_only=True)
class VideoReport:
    """What was done for each video.

    Args:
        lines: descriptions of the results.
        problems: one line for each video that could not be read completely.
    """

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def summary(self, out: Path) -> str:
        """Returns the lines that are printed after all videos were predicted."""
        lines = [*self.lines, *([f"videos are in {relative_to_here(out)}"] if self.lines else [])]
        if self.problems:
            lines.append("not all of the videos could be read:")
            lines += [f"  {problem}" for problem in self.problems]
        return "\n".join(lines)


def check_single_process(trainer: Trainer, videos: Sequence[Listed]) -> None:
    """Refuses videos on several ranks: temporal smoothing needs all frames of a video in order.

    Raises:
        UsageError: if there are videos and more than one rank.
    """
    if videos and trainer.num_devices * trainer.num_nodes > 1:
        raise UsageError(
            f"{videos[0].path}: videos are processed by one process: add --trainer.devices 1 or leave videos out"
        )


def predict_videos(
    trainer: Trainer,
    model: LightningModule,
    videos: Sequence[Listed],
    *,
    out: Path,
    finishing: VideoFinish,
    progress: bool,
) -> VideoReport:
    """Writes ``KIND/NAME.mp4`` (or ``.mov``, ``.mkv``) for each video and kind of result, one video after the other.

    Args:
        trainer: has one rank.
        model: its ``predict_step`` takes batches of frames.
        videos: files to read.
        out: folder of the results.
        finishing: how frames are prepared and finished.
        progress: whether to show a progress bar.

    Raises:
        OutputError: if a video cannot be written.
    """
    report = VideoReport()
    for listed in videos:
        try:
            _predict_video(trainer, model, listed, out=out, finishing=finishing, progress=progress, report=report)
        except DataError as error:
            report.problems.append(str(error))
    return report


def _predict_video(
    trainer: Trainer,
    model: LightningModule,
    listed: Listed,
    *,
    out: Path,
    finishing: VideoFinish,
    progress: bool,
    report: VideoReport,
) -> None:
    video = VideoReader(listed.path)
    facts = video.info
    tracks = _tracks(listed, finishing, out)
    replaced = {track.target for track in tracks if track.target.exists()}
    writer = VideoWriter(
        tracks=tracks,
        source=listed.path,
        rate=facts.rate,
        finish=finishing.finish,
        images=finishing.images,
        smooth=finishing.smooth,
        expected=facts.frames,
        progress=progress,
    )
    frames = VideoFrames(video, name=listed.name, prepare=finishing.prepare)
    seconds = predict_into(writer, trainer, model, VideoPredictData(frames))
    report.problems += video.problems
    height, width = writer.size
    report.lines.append(
        f"{listed.path}: {writer.frames} frames in {seconds:.1f} s, {seconds / max(1, writer.frames):.2f} s per frame"
    )
    for track in tracks:
        sound = "sound copied" if facts.audio_streams and track.sound else "no sound"
        again = "; the existing file was replaced" if track.target in replaced else ""
        shown = track.target.relative_to(out)
        report.lines.append(f"  {shown}  {track.codec.title}, {width} x {height}, {sound}{again}")
    if finishing.images:
        report.lines.append(f"  {_flicker(writer)}")


def _tracks(listed: Listed, finishing: VideoFinish, out: Path) -> list[VideoTrack]:
    return [
        VideoTrack(
            kind=kind.name,
            target=out / kind.name / f"{listed.name}{kind.codec.suffix or result_suffix(listed.path)}",
            codec=kind.codec,
            sound=kind.sound,
        )
        for kind in finishing.kinds
    ]


def _flicker(writer: VideoWriter) -> str:
    result, source = writer.flicker.of_result, writer.flicker.of_source
    if result is None or source is None:
        return "flicker: not measured, since no part of the video is static"
    return f"flicker in static regions: {result:.2f} gray levels of 255 from frame to frame, {source:.2f} in the source"
