"""The files of a run."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from datamodules.io.atomic_file import remove_partial_files

LOCK = ".lock"


@dataclass(frozen=True)
class RunFolder:
    """Paths inside the folder of one run.

    Args:
        path: ``<runs>/<task>/<name>``.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The configuration that repeats the run."""
        return self.path / "config.yaml"

    @property
    def skipped(self) -> Path:
        """List of the data files that were left out."""
        return self.path / "skipped.txt"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``best.ckpt``, ``last.ckpt`` and one checkpoint for each finished stage."""
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.path / "figures"

    @property
    def predictions(self) -> Path:
        """Folder of results on the user's images."""
        return self.path / "predictions"

    @property
    def checkpoint_files(self) -> list[Path]:
        """All checkpoints, the newest first; ``last.ckpt`` comes first among files of equal age."""
        files = self.checkpoints.glob("*.ckpt")
        return sorted(files, key=lambda file: (-file.stat().st_mtime_ns, file.name != "last.ckpt", file.name))

    def remove_leftovers(self) -> None:
        """Removes half-written files of a killed run, and the event files of one that saved no checkpoint."""
        remove_partial_files(self.path, self.checkpoints, self.figures)
        if not self.checkpoint_files:
            for log in self.path.glob("events.out.tfevents.*"):
                log.unlink(missing_ok=True)

    def remove_new(self, earlier: Collection[Path]) -> None:
        """Removes all files but ``earlier`` ones, and folders that are empty then; the lock stays."""
        for path in sorted(self.path.rglob("*"), reverse=True):  # contents before their folder
            if path in earlier or path.name == LOCK:
                continue
            with suppress(OSError):  # a folder that is not empty
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()


def relative_to_here(path: Path) -> Path:
    """Returns a path as a user would type it: relative inside the working directory, absolute outside."""
    resolved, here = path.resolve(), Path.cwd()
    return resolved.relative_to(here) if resolved.is_relative_to(here) else resolved
