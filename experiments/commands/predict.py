"""``predict``: applies a checkpoint to images, and to videos where the task supports them, and writes the results."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jsonargparse import ArgumentParser

from callbacks.prediction.writer import PredictionWriter
from datamodules.errors import DataError
from datamodules.io.image_file import MULTI_FRAME_SUFFIXES, SUFFIXES, count_frames
from datamodules.io.video import VIDEO_SUFFIXES, is_video
from datamodules.loading.loader import loader_processes
from datamodules.prediction.image_list import Listed, list_inputs
from experiments.commands.bit_depth import input_bits
from experiments.commands.predict_into import predict_into
from experiments.commands.predict_videos import check_single_process, predict_videos
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from experiments.tasks.prediction import PredictOutput, PredictRequest


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
    output = context.spec.predict_output(context.model, _request(context, images, videos, out))
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


def _request(context: RunContext, images: Sequence[Listed], videos: Sequence[Listed], out: Path) -> PredictRequest:
    stages = context.checkpoint.stages if context.checkpoint else context.stages
    last = stages.index(context.stage) if context.stage in stages else len(stages) - 1
    trainer = context.trainer
    return PredictRequest(
        images=images,
        videos=videos,
        folder=out,
        options=context.config,
        data=context.datamodule,
        stage=context.stage,
        trained_stages=stages[: last + 1],
        ranks=trainer.world_size,
        device=trainer.strategy.root_device.type,
        num_workers=loader_processes(context.datamodule.num_workers, processes=trainer.num_devices),
        timeout=context.datamodule.timeout,
        bits=input_bits(context, [listed.path for listed in images]),
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


def _count(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"
