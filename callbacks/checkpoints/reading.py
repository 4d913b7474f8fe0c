"""Reads checkpoint files: checked before they are read, read without running code from them."""

import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from callbacks.errors import CheckpointError
from models.weights.limits import archive_fault, values_fault


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
