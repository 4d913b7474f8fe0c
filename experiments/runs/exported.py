"""Reading networks that ``export --format safetensors`` wrote."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from callbacks.errors import CheckpointError
from experiments.runs.folder import relative_to_here

#: Key of the header of a safetensors file, under which the record is stored as JSON.
NETWORK_KEY = "darkroom"


def read_network(path: Path) -> dict[str, Any]:
    """Reads an exported network as a checkpoint without optimizer: weights, record, and how far it was trained.

    Raises:
        CheckpointError: if it is missing, damaged, or was not written by Darkroom.
    """
    shown = relative_to_here(path)
    if not path.is_file():
        raise CheckpointError(f"there is no network {shown}")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(NETWORK_KEY)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        config = json.loads(header) if header else {}
        progress = {"epoch_progress": {"current": {"processed": int(config.get("epochs_done", 0))}}}
        return {
            "state_dict": weights,
            "darkroom": config.get("record"),
            "epoch": int(config.get("epoch", 0)),
            "global_step": int(config.get("steps_done", 0)),
            "loops": {"fit_loop": progress},
        }
    except (SafetensorError, OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{shown} cannot be read as a network: {error}") from error
