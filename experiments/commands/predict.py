"""``predict``: applies a checkpoint to any images, and videos where the task takes them, and writes the results."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from callbacks.prediction.writer import PredictionWriter
from datamodules.io.image import SUFFIXES
from datamodules.io.video import VIDEO_SUFFIXES, is_video
from datamodules.prediction.image_list import Listed, list_images
from experiments.commands.predict_video import VideoAccount, do_videos, refuse_several_processes
from experiments.commands.predicting import predict_into
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from experiments.tasks.spec import Results


def add_arguments(parser: ArgumentParser) -> None:
    """Adds which images, where to, and what of each."""
    parser.add_argument("images", nargs="*", help="files, folders, patterns, or lists: @FILE or a .txt file")
    parser.add_argument(
        "--out", type=Path | None, default=None, help="folder of the results (default: predictions/ of the run)"
    )


def run(context: RunContext) -> int:
    """Predicts all images and videos, and says at the end how many, how long, and where the results lie.

    Returns:
        0 if all were done, 1 if some could not be read.
    """
    out: Path = context.config.out or context.folder.predictions
    look = context.parts.video_look
    suffixes = SUFFIXES if look is None else SUFFIXES | VIDEO_SUFFIXES
    listed = list_images(context.config.images, leave_out=out, suffixes=suffixes)
    videos = [] if look is None else [one for one in listed if is_video(one.path)]
    refuse_several_processes(context.trainer, videos)
    images = [one for one in listed if one not in videos]
    bar = context.trainer.progress_bar_callback
    if bar is not None:
        bar.disable()  # it counts batches that went through the net; ours count what was written
    results = context.parts.results(context, images, out)
    problems = do_images(context, results, images, out=out, progress=bar is not None)
    if look is not None and videos:
        account = do_videos(
            context.trainer, context.model, videos, out=out, look=look(context), progress=bar is not None
        )
        print(video_summary(account, out=out))
        problems += account.problems
    if results.remark and context.trainer.is_global_zero:
        print(results.remark)
    return 1 if problems else 0


def do_images(
    context: RunContext, results: Results, images: Sequence[Listed], *, out: Path, progress: bool
) -> list[str]:
    """Predicts images that are no videos.

    Returns:
        What could not be read.
    """
    if not images:
        return []
    replaced = sum(any(file.exists() for file in results.files.paths(listed.name)) for listed in images)
    writer = PredictionWriter(files=results.files, table=results.table, progress=progress, waiting=results.waiting)
    seconds = predict_into(writer, context.trainer, context.model, results.data)
    if context.trainer.is_global_zero:
        print(summary(writer, out=out, seconds=seconds, replaced=replaced))
    return writer.problems


def summary(writer: PredictionWriter, *, out: Path, seconds: float, replaced: int) -> str:
    """Says what was done, in the words of the person who asked for it."""
    lines = [f"{_count(writer.written)} in {seconds:.1f} s; the results lie in {relative_to_here(out)}"]
    lines += [f"  {line}" for line in writer.files.described()]
    if writer.table is not None:
        lines.append(f"  {writer.table.path.name}: all images in one file")
    if replaced:
        lines.append(f"results of {_count(replaced)} lay there before and were replaced")
    if writer.problems:
        lines.append(f"{_count(len(writer.problems))} could not be read:")
        lines += [f"  {problem}" for problem in writer.problems]
    return "\n".join(lines)


def video_summary(account: VideoAccount, *, out: Path) -> str:
    """Says what became of the videos."""
    lines = [*account.lines, *([f"the videos lie in {relative_to_here(out)}"] if account.lines else [])]
    if account.problems:
        lines.append("not all of the videos could be read:")
        lines += [f"  {problem}" for problem in account.problems]
    return "\n".join(lines)


def _count(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"
