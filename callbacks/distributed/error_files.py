"""The folder in which the ranks of a machine record the errors that end them. Imports nothing slow.

File names sort by time, with the errors that are only consequences of another rank's failure behind all others. The
first file is therefore the original error, for Python and for a shell script alike.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from datamodules.io.atomic_file import atomic_path

#: Environment variable that names the folder for all ranks.
FOLDER = "DARKROOM_ERRORS"
#: Environment variable with the process id of the rank that launched the others of its machine.
LAUNCHER = "DARKROOM_LAUNCHER"
#: The program that an installation puts on the PATH.
CONSOLE_SCRIPT = "darkroom"


def program_name() -> str:
    """The name that messages begin with: the console script ``darkroom``, if it was used, or ``run.py``."""
    name = Path(sys.argv[0]).stem
    return name if name == CONSOLE_SCRIPT else "run.py"


def errors_folder() -> Path | None:
    """Returns the folder, or ``None`` if no launcher created one."""
    folder = Path(os.environ.get(FOLDER, ""))
    return folder if FOLDER in os.environ and folder.is_dir() else None


def launcher_pid() -> int | None:
    """Returns the id of the process that launched this rank; ``None`` in that process and under a scheduler."""
    number = int(os.environ.get(LAUNCHER, "0"))
    return None if number in (0, os.getpid()) else number


def remove_errors_folder() -> None:
    """Removes the folder if this process created it; called when the run ends as intended."""
    if os.environ.get(LAUNCHER) == str(os.getpid()):
        shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


def write_error(folder: Path, text: str, *, rank: int, consequence: bool) -> None:
    """Records the error that ends ``rank``; only the first error of a rank is kept.

    Args:
        folder: the folder of errors.
        text: the message or traceback.
        rank: the rank that ends.
        consequence: whether the error only reports that another rank is gone.
    """
    if error_of_rank(folder, rank) is None:
        with atomic_path(folder / f"{consequence:d}-{time.time_ns():020}-{rank}.txt") as partial:
            partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def error_of_rank(folder: Path, rank: int) -> Path | None:
    """Returns the error file of ``rank``."""
    return next(folder.glob(f"[01]-*-{rank}.txt"), None)


def first_error(folder: Path) -> Path | None:
    """Returns the file of the original error."""
    return min(folder.glob("[01]-*.txt"), default=None)


def read_errors(folder: Path) -> list[str]:
    """Reads the errors of all ranks, the original one first."""
    return [file.read_text(encoding="utf-8", errors="surrogateescape") for file in sorted(folder.glob("[01]-*.txt"))]


def is_cause(file: Path) -> bool:
    """Whether an error file holds more than the report that another rank is gone."""
    return file.name.startswith("0")
