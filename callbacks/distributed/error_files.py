"""The folder in which processes leave the errors they end by: its first file is the first error.

The files' names sort by time, those that only say that another process is gone after all others. So whoever started the
processes, a shell script too, shows the first file of the folder.
"""

import os
import shutil
import time
from pathlib import Path

#: The variable of the environment that names the folder; all processes see it.
FOLDER = "DARKROOM_ERRORS"
#: The variable that holds the number of the process that started the others of its machine.
STARTER = "DARKROOM_STARTER"


def errors_folder() -> Path | None:
    """Finds the folder, if whoever started this process made one."""
    folder = Path(os.environ.get(FOLDER, ""))
    return folder if FOLDER in os.environ and folder.is_dir() else None


def starter() -> int | None:
    """The process that started this one beside itself; ``None`` in that one, and where a scheduler started all."""
    number = int(os.environ.get(STARTER, "0"))
    return None if number in (0, os.getpid()) else number


def forget_errors() -> None:
    """Removes the folder if this process made it: it ends of its own accord, and there is nothing to wonder about."""
    if os.environ.get(STARTER) == str(os.getpid()):
        shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


def leave_text(folder: Path, text: str, *, rank: int, consequence: bool) -> None:
    """Leaves what process ``rank`` ends by, if that has not left anything yet.

    Args:
        folder: where to.
        text: what happened.
        rank: number of the process.
        consequence: whether the text only says that another process is gone.
    """
    if left_by(folder, rank) is None:
        name = f"{consequence:d}-{time.time_ns():020}-{rank}.txt"
        partial = folder / f".{name}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)


def left_by(folder: Path, rank: int) -> Path | None:
    """Finds what process ``rank`` left."""
    return next(folder.glob(f"[01]-*-{rank}.txt"), None)


def first_left(folder: Path) -> Path | None:
    """Finds what the process that failed first left."""
    return min(folder.glob("[01]-*.txt"), default=None)


def all_left(folder: Path) -> list[str]:
    """Reads what processes left, the first error first."""
    return [file.read_text(encoding="utf-8") for file in sorted(folder.glob("[01]-*.txt"))]


def is_cause(left: Path) -> bool:
    """Whether a file tells more than that another process is gone."""
    return left.name.startswith("0")
