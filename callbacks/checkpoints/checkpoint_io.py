"""Checkpoint files that are either whole or not there."""

import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from callbacks.errors import CheckpointError, OutputError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames; on reading checks every byte and runs no code.

    Lightning writes into ``$TMPDIR`` and moves: between two file systems that is a copy, and a kill in the middle of
    it leaves a torn ``last.ckpt`` that the next resume dies of (lightning #21253, #21744).
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes ``checkpoint`` to ``path`` so that a kill or a full disk leaves the file before it intact.

        Raises:
            OutputError: if it could not be written; ``path`` is as it was.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError when the disk is full
            with suppress(OSError):  # the folder may be gone too
                partial.unlink(missing_ok=True)
            kept = "the one before it is intact" if target.exists() else "there was none before it"
            raise OutputError(
                f"{target} could not be written ({error.__cause__ or error}): {kept}. "
                "Free some space or choose another folder, then go on with --resume"
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Callable[..., Any] | None = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Reads a checkpoint onto the CPU with ``weights_only=True``, whatever the caller asked for.

        Raises:
            CheckpointError: as ``read_checkpoint``.
        """
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint file after checking it.

    Args:
        path: a local file.

    Returns:
        The checkpoint, all tensors on the CPU.

    Raises:
        CheckpointError: if ``path`` is a URL, is missing, fails its check sums or holds anything but plain values
            and tensors.
    """
    if "://" in str(path) or ":/" in str(path)[:8]:
        raise CheckpointError(f"{path} is a URL: download the file, look where it is from, and name it as a local file")
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    if damage := damage_of(path):
        raise CheckpointError(f"{path} is damaged ({damage}): use another of {path.parent}, stage ends are kept there")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than numbers and plain values and is not loaded, since such a file can run code: "
            "save it again as a plain state dict where it was made"
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path} is not a checkpoint: it holds a {type(checkpoint).__name__}")
    return checkpoint


def damage_of(path: Path) -> str | None:
    """Says what is wrong with a checkpoint file, or ``None``: reads all of it and compares the CRC of every part."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        return f"{path.stat().st_size} bytes, {error}"
    return f"check sum of {broken}" if broken else None
