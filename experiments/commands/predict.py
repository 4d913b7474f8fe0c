"""``predict``: applies a checkpoint to any pictures and writes the results."""

import time
from pathlib import Path

from jsonargparse import ArgumentParser

from callbacks.prediction_writer import PredictionWriter
from datamodules.picture_list import list_pictures
from experiments.cli import DarkroomCLI
from experiments.run_folder import relative_to_here


def add_arguments(parser: ArgumentParser) -> None:
    """Adds which pictures, where to, and what of each."""
    parser.add_argument("pictures", nargs="*", help="files, folders, patterns, or lists: @FILE or a .txt file")
    parser.add_argument(
        "--out", type=Path | None, default=None, help="folder of the results (default: predictions/ of the run)"
    )


def run(cli: DarkroomCLI) -> int:
    """Predicts all pictures, and says at the end how many, how long, and where the results lie.

    Returns:
        0 if all were done, 1 if some could not be read.
    """
    out: Path = cli.config.out or cli.folder.predictions
    pictures = list_pictures(cli.config.pictures, leave_out=out)
    results = cli.parts.results(cli, pictures, out)
    replaced = sum(any(file.exists() for file in results.files.paths(listed.name)) for listed in pictures)
    trainer = cli.trainer
    bar = trainer.progress_bar_callback
    if bar is not None:
        bar.disable()  # it counts batches that went through the net; ours counts pictures whose files are there
    writer = PredictionWriter(
        files=results.files, table=results.table, progress=bar is not None, waiting=results.waiting
    )
    trainer.callbacks.append(writer)  # type: ignore[attr-defined] # lightning does not declare it
    start = time.monotonic()
    trainer.predict(cli.model, datamodule=results.data, return_predictions=False)
    if trainer.is_global_zero:
        print(summary(writer, out=out, seconds=time.monotonic() - start, replaced=replaced))
    return 1 if writer.problems else 0


def summary(writer: PredictionWriter, *, out: Path, seconds: float, replaced: int) -> str:
    """Says what was done, in the words of the person who asked for it."""
    lines = [f"{_count(writer.written)} in {seconds:.1f} s; the results lie in {relative_to_here(out)}"]
    lines += [f"  {line}" for line in writer.files.described()]
    if writer.table is not None:
        lines.append(f"  {writer.table.path.name}: all pictures in one file")
    if replaced:
        lines.append(f"results of {_count(replaced)} lay there before and were replaced")
    if writer.problems:
        lines.append(f"{_count(len(writer.problems))} could not be read:")
        lines += [f"  {problem}" for problem in writer.problems]
    return "\n".join(lines)


def _count(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"
