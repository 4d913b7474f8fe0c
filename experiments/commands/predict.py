"""``predict``: applies a checkpoint to images, and to videos where the task supports them, and writes the results."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jsonargparse import ArgumentParser
from lightning import Callback, LightningDataModule, LightningModule, Trainer

from callbacks.prediction.video_file import result_suffix
from callbacks.prediction.video_writer import VideoWriter
from callbacks.prediction.writer import PredictionWriter
from datamodules.errors import DataError
from datamodules.io.image_file import MULTI_FRAME_SUFFIXES, SUFFIXES, count_frames
from datamodules.io.video import VIDEO_SUFFIXES, VideoReader, is_video
from datamodules.loading.loader import loader_processes
from datamodules.prediction.image_list import Listed, list_inputs
from datamodules.prediction.video import VideoFrames, VideoPredictData
from experiments.cli.usage import UsageError
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from experiments.tasks.spec import PredictOutput, PredictRequest, VideoFinish
from lightning_modules.typed_trainer import typed


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the images to read and the folder to write to."""
    parser.add_argument("images", nargs="*", help="files, folders, patterns, or lists: @FILE or a .txt file")
    parser.add_argument(
        "--out", type=Path | None, default=None, help="folder of the results (default: predictions/ of the run)"
    )


def run(context: RunContext) -> int:
    """Predicts all images and videos and prints how many, how long it took and where the results are.

    Returns:
        0 if all were predicted, 1 if some could not be read or were left out.
    """
    out: Path = context.config.out or context.folder.predictions
    suffixes = SUFFIXES | VIDEO_SUFFIXES if context.spec.takes_videos else SUFFIXES
    inputs = list_inputs(context.config.images, exclude=out, suffixes=suffixes)
    videos = [one for one in inputs.files if context.spec.takes_videos and is_video(one.path)]
    check_single_process(context.trainer, videos)
    images = [one for one in inputs.files if one not in videos]
    bar = context.trainer.progress_bar_callback
    if bar is not None:
        bar.disable()  # it counts batches that went through the network; the writers' bars count written results
    progress = bar is not None
    output = context.spec.predict_output(context.model, _request(context, images, out))
    problems = predict_images(context, output, images, out=out, progress=progress)
    if videos and output.video is not None:
        report = predict_videos(
            context.trainer, context.model, videos, out=out, finishing=output.video, progress=progress
        )
        print(report.summary(out))
        problems += report.problems
    unread = [] if output.all_pages else unread_pages(images)
    for line in [*unread, *inputs.lines()] if context.trainer.is_global_zero else ():
        print(line)
    if output.remark and context.trainer.is_global_zero:
        print(output.remark)
    return 1 if problems or unread or not inputs.complete else 0


def _request(context: RunContext, images: Sequence[Listed], out: Path) -> PredictRequest:
    stages = context.checkpoint.stages if context.checkpoint else context.stages
    last = stages.index(context.stage) if context.stage in stages else len(stages) - 1
    trainer = context.trainer
    return PredictRequest(
        images=images,
        folder=out,
        options=context.config,
        data=context.datamodule,
        stage=context.stage,
        trained_stages=stages[: last + 1],
        ranks=trainer.world_size,
        num_workers=loader_processes(context.datamodule.num_workers, processes=trainer.num_devices),
        timeout=context.datamodule.timeout,
    )


def predict_images(
    context: RunContext, output: PredictOutput, images: Sequence[Listed], *, out: Path, progress: bool
) -> list[str]:
    """Predicts images and returns one line for each that could not be read."""
    if not images:
        return []
    replaced = sum(any(file.exists() for file in output.files.paths(listed.name)) for listed in images)
    writer = PredictionWriter(files=output.files, table=output.table, progress=progress, queue_size=output.waiting)
    seconds = predict_into(writer, context.trainer, context.model, output.data)
    if context.trainer.is_global_zero:
        print(summary(writer, out=out, seconds=seconds, replaced=replaced))
    return writer.problems


def unread_pages(images: Sequence[Listed]) -> list[str]:
    """Returns one line for each image with several pages or frames, of which only the first is predicted."""
    lines: list[str] = []
    for listed in images:
        if listed.path.suffix.lower() in MULTI_FRAME_SUFFIXES:
            with suppress(DataError):  # reported by the writer
                if (count := count_frames(listed.path)) > 1:
                    lines.append(f"{listed.path}: has {count} pages or frames; only the first was predicted")
    return lines


def predict_into(writer: Callback, trainer: Trainer, model: LightningModule, data: LightningDataModule) -> float:
    """Applies ``model`` to ``data`` with ``writer`` as an additional callback of ``trainer``.

    Returns:
        Duration in seconds.
    """
    callbacks = typed(trainer).callbacks
    callbacks.append(writer)
    start = time.monotonic()
    try:
        trainer.predict(model, datamodule=data, return_predictions=False)
    finally:
        callbacks.remove(writer)
    return time.monotonic() - start


def summary(writer: PredictionWriter, *, out: Path, seconds: float, replaced: int) -> str:
    """Returns the lines that are printed after all images were predicted."""
    lines = [f"{_count(writer.written)} in {seconds:.1f} s; results are in {relative_to_here(out)}"]
    lines += [f"  {line}" for line in writer.files.describe()]
    if writer.table is not None:
        lines.append(f"  {writer.table.path.name}: all images in one file")
    if replaced:
        lines.append(f"existing results of {_count(replaced)} were replaced")
    if writer.problems:
        lines.append(f"{_count(len(writer.problems))} could not be read:")
        lines += [f"  {problem}" for problem in writer.problems]
    return "\n".join(lines)


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
    """Writes ``result/NAME.mp4`` (or ``.mov``, ``.mkv``) for each video, one after the other.

    Args:
        trainer: has one rank.
        model: its ``predict_step`` takes batches of frames.
        videos: files to read.
        out: folder of the results.
        finishing: how frames are blended with the source and smoothed over time.
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
    target = out / "result" / f"{listed.name}{result_suffix(listed.path)}"
    replaced = target.exists()
    writer = VideoWriter(
        target=target,
        source=listed.path,
        rate=facts.rate,
        finish=finishing.finish,
        smooth=finishing.smooth,
        expected=facts.frames,
        progress=progress,
    )
    seconds = predict_into(writer, trainer, model, VideoPredictData(VideoFrames(video, name=listed.name)))
    report.problems += video.problems
    height, width = writer.size
    sound = "sound copied" if facts.audio_streams else "no sound"
    report.lines += [
        f"{listed.path}: {writer.frames} frames in {seconds:.1f} s, {seconds / max(1, writer.frames):.2f} s per frame",
        f"  {target.relative_to(out)}  H.264, {width} x {height}, {sound}"
        f"{'; the existing file was replaced' if replaced else ''}",
        f"  {_flicker(writer)}",
    ]


def _flicker(writer: VideoWriter) -> str:
    result, source = writer.flicker.of_result, writer.flicker.of_source
    if result is None or source is None:
        return "flicker: not measured, since no part of the video is static"
    return f"flicker in static regions: {result:.2f} gray levels of 255 from frame to frame, {source:.2f} in the source"


def _count(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"
