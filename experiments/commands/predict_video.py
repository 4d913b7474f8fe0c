"""Films through ``predict``: one after the other, frame by frame, in one process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning import LightningModule, Trainer

from callbacks.prediction.video_file import result_suffix
from callbacks.prediction.video_writer import FilmWriter
from datamodules.errors import DataError
from datamodules.io.video import FilmReader
from datamodules.prediction.image_list import Listed
from datamodules.prediction.video import FilmFrames, FilmPredictData
from experiments.cli.usage import UsageError
from experiments.commands.predicting import predict_into
from experiments.tasks.spec import FilmLook


@dataclass(kw_only=True)
class FilmAccount:
    """What became of some films.

    Args:
        lines: what was done, for a person.
        problems: what could not be read, in whole or in part.
    """

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def refuse_several_processes(trainer: Trainer, films: Sequence[Listed]) -> None:
    """Frames follow each other, so a film cannot be shared out.

    Raises:
        UsageError: if there are films and more than one process.
    """
    if films and trainer.num_devices * trainer.num_nodes > 1:
        raise UsageError(f"{films[0].path}: films are for one process: add --trainer.devices 1 or leave films out")


def do_films(
    trainer: Trainer, model: LightningModule, films: Sequence[Listed], *, out: Path, look: FilmLook, progress: bool
) -> FilmAccount:
    """Writes ``result/NAME.mp4`` (or ``.mov``, ``.mkv``) for each film.

    Args:
        trainer: of one process; its callbacks are given back as they were.
        model: whose ``predict_step`` takes frames.
        films: what to read.
        out: folder of the results.
        look: how frames are finished.
        progress: whether a bar is shown.

    Raises:
        OutputError: if a film could not be written.
    """
    account = FilmAccount()
    for listed in films:
        try:
            _do_film(trainer, model, listed, out=out, look=look, progress=progress, account=account)
        except DataError as error:
            account.problems.append(str(error))
    return account


def _do_film(
    trainer: Trainer,
    model: LightningModule,
    listed: Listed,
    *,
    out: Path,
    look: FilmLook,
    progress: bool,
    account: FilmAccount,
) -> None:
    film = FilmReader(listed.path)
    facts = film.facts
    target = out / "result" / f"{listed.name}{result_suffix(listed.path)}"
    replaced = target.exists()
    writer = FilmWriter(
        target=target,
        source=listed.path,
        rate=facts.rate,
        finish=look.finish,
        smooth=look.smooth,
        expected=facts.frames,
        progress=progress,
    )
    seconds = predict_into(writer, trainer, model, FilmPredictData(FilmFrames(film, name=listed.name)))
    account.problems += film.problems
    height, width = writer.size
    account.lines += [
        f"{listed.path}: {writer.frames} frames in {seconds:.1f} s",
        f"  {target.relative_to(out)}  H.264, {width} x {height}, {_sound(facts.sounds)}"
        f"{'; the one before was replaced' if replaced else ''}",
        f"  {_flicker(writer)}",
    ]


def _sound(tracks: int) -> str:
    return "sound as it was" if tracks else "no sound, as in the film"


def _flicker(writer: FilmWriter) -> str:
    ours, own = writer.flicker.of_result, writer.flicker.of_source
    if ours is None or own is None:
        return "flicker: nothing in the film stands still, so there is none to measure"
    return (
        f"flicker where the film stands still: {ours:.2f} grey levels of 255 from frame to frame, in the film itself "
        f"{own:.2f}"
    )
