"""Lightning's plugin for checkpoint files: they are written atomically, and checked before they are read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from callbacks.checkpoints.reading import read_checkpoint
from callbacks.errors import OutputError
from datamodules.io.atomic_file import atomic_file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames; checks every byte before it reads, and never runs code from a file.

    Lightning writes into ``$TMPDIR`` and moves the file. Between two file systems that is a copy, and a process killed
    during it leaves a truncated ``last.ckpt`` that cannot be resumed from (Lightning #21253, #21744).

    Args:
        contents: files that were already checked and read, by path; each is given out once and then released.
    """

    def __init__(self, contents: Mapping[Path, dict[str, Any]] | None = None) -> None:
        super().__init__()
        self._contents = dict(contents or {})

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes ``checkpoint`` to ``path``.

        Raises:
            OutputError: if it cannot be written, for example on a full disk. ``path`` is unchanged then.
        """
        target = Path(path)
        try:
            with atomic_file(target) as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError if the disk is full
            kept = "the one before it is intact" if target.exists() else "there was none before it"
            raise OutputError(
                f"{target} could not be written ({error.__cause__ or error}): {kept}. "
                "Free some space or choose another folder, then go on with --resume"
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Callable[..., Any] | None = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads a checkpoint onto the CPU, always with ``weights_only=True``.

        Raises:
            CheckpointError: see ``read_checkpoint``.
        """
        content = self._contents.pop(Path(path), None)
        return read_checkpoint(Path(path)) if content is None else content
