"""Videos through ``predict``: one after the other, frame by frame, in one process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning import LightningModule, Trainer

from callbacks.prediction.video_file import result_suffix
from callbacks.prediction.video_writer import VideoWriter
from datamodules.errors import DataError
from datamodules.io.video import VideoReader
from datamodules.prediction.image_list import Listed
from datamodules.prediction.video import VideoFrames, VideoPredictData
from experiments.cli.usage import UsageError
from experiments.commands.predicting import predict_into
from experiments.tasks.spec import VideoLook


@dataclass(kw_only=True)
class VideoAccount:
    """What became of some videos.

    Args:
        lines: what was done, for a person.
        problems: what could not be read, in whole or in part.
    """

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def refuse_several_processes(trainer: Trainer, videos: Sequence[Listed]) -> None:
    """Frames follow each other, so a video cannot be shared out.

    Raises:
        UsageError: if there are videos and more than one process.
    """
    if videos and trainer.num_devices * trainer.num_nodes > 1:
        raise UsageError(f"{videos[0].path}: videos are for one process: add --trainer.devices 1 or leave videos out")


def do_videos(
    trainer: Trainer, model: LightningModule, videos: Sequence[Listed], *, out: Path, look: VideoLook, progress: bool
) -> VideoAccount:
    """Writes ``result/NAME.mp4`` (or ``.mov``, ``.mkv``) for each video.

    Args:
        trainer: of one process; its callbacks are given back as they were.
        model: whose ``predict_step`` takes frames.
        videos: what to read.
        out: folder of the results.
        look: how frames are finished.
        progress: whether a bar is shown.

    Raises:
        OutputError: if a video could not be written.
    """
    account = VideoAccount()
    for listed in videos:
        try:
            _do_video(trainer, model, listed, out=out, look=look, progress=progress, account=account)
        except DataError as error:
            account.problems.append(str(error))
    return account


def _do_video(
    trainer: Trainer,
    model: LightningModule,
    listed: Listed,
    *,
    out: Path,
    look: VideoLook,
    progress: bool,
    account: VideoAccount,
) -> None:
    video = VideoReader(listed.path)
    facts = video.facts
    target = out / "result" / f"{listed.name}{result_suffix(listed.path)}"
    replaced = target.exists()
    writer = VideoWriter(
        target=target,
        source=listed.path,
        rate=facts.rate,
        finish=look.finish,
        smooth=look.smooth,
        expected=facts.frames,
        progress=progress,
    )
    seconds = predict_into(writer, trainer, model, VideoPredictData(VideoFrames(video, name=listed.name)))
    account.problems += video.problems
    height, width = writer.size
    account.lines += [
        f"{listed.path}: {writer.frames} frames in {seconds:.1f} s",
        f"  {target.relative_to(out)}  H.264, {width} x {height}, {_sound(facts.sounds)}"
        f"{'; the one before was replaced' if replaced else ''}",
        f"  {_flicker(writer)}",
    ]


def _sound(tracks: int) -> str:
    return "sound as it was" if tracks else "no sound, as in the video"


def _flicker(writer: VideoWriter) -> str:
    ours, own = writer.flicker.of_result, writer.flicker.of_source
    if ours is None or own is None:
        return "flicker: nothing in the video stands still, so there is none to measure"
    return (
        f"flicker where the video stands still: {ours:.2f} gray levels of 255 from frame to frame, in the video itself "
        f"{own:.2f}"
    )
