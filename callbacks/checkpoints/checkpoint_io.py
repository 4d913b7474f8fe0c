"""Reading and writing of checkpoint files: written atomically, checked before they are read, read without code."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from callbacks.errors import CheckpointError, OutputError
from datamodules.io.atomic_file import atomic_file
from models.weights.limits import archive_fault, values_fault


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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Checks and reads a checkpoint file.

    Args:
        path: a local file.

    Returns:
        The checkpoint, with all tensors on the CPU.

    Raises:
        CheckpointError: if ``path`` is a URL, is missing, fails its checksums, or holds anything but plain values
            and tensors.
    """
    if "://" in str(path) or ":/" in str(path)[:8]:
        raise CheckpointError(f"{path} is a URL: download the file, check its source, and name the local file")
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    if damage := find_damage(path):
        raise CheckpointError(
            f"{path} is damaged ({damage}): use another checkpoint of {path.parent}, which also keeps the end of "
            "every stage"
        )
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than numbers and plain values and is not loaded, since such a file can run code: "
            "save it again as a plain state dict where it was made"
        ) from error
    except Exception as error:  # what the checks above let pass can fail in torch's reader in any way
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path} is damaged ({reason}): use another checkpoint of {path.parent}") from error
    if fault := values_fault(checkpoint):
        raise CheckpointError(f"{path} is not loaded: {fault}")
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"{path} is not a checkpoint: it holds a {type(checkpoint).__name__}")
    return checkpoint


def find_damage(path: Path) -> str | None:
    """Reads the whole file and compares the CRC of every part; describes the first damage, or returns ``None``."""
    if fault := archive_fault(path):
        return fault
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except Exception as error:  # zipfile raises many types: RuntimeError for a flag bit that means encryption
        return f"{path.stat().st_size} bytes, {error or type(error).__name__}"
    return f"check sum of {broken}" if broken else None
