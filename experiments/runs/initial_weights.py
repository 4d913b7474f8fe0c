"""Reading the file of ``--init_from``: a checkpoint, or a state dict of another origin."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from callbacks.checkpoints.reading import find_damage, read_checkpoint
from callbacks.errors import CheckpointError
from experiments.runs.exported import read_network
from experiments.runs.folder import relative_to_here
from models.weights.limits import is_archive
from models.weights.pretrained import find_state_dict, read_state_dict


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """Weights from which a run starts, of Darkroom or not.

    Args:
        path: the file.
        tensors: tensors by name.
        classes: class names of the network; ``None`` if the file does not name them.
        styles: names of the styles of the network; none if the file does not name them.
    """

    path: Path
    tensors: dict[str, Tensor]
    classes: tuple[str, ...] | None
    styles: tuple[str, ...] = ()


def read_initial_weights(path: Path, task: str) -> InitialWeights:
    """Reads the file of ``--init_from``: a checkpoint of the same task, or a state dict that Darkroom did not write.

    Raises:
        CheckpointError: if it is missing, or a checkpoint of another task.
        WeightsError: if it cannot be read as weights.
    """
    content: dict[str, Any] = {}
    try:
        content = read_network(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    except CheckpointError:
        if not path.is_file() or (is_archive(path) and find_damage(path)):
            raise
    record = content.get("darkroom")
    record = record if isinstance(record, dict) else {}
    if (found := record.get("task")) not in (None, task):
        raise CheckpointError(
            f"{relative_to_here(path)} is a checkpoint of the task '{found}': a run of {task} cannot start from it"
        )
    classes = record.get("classes")
    known = isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)
    # What could not be read as a checkpoint may still be a state dict, for example of a release of torch before 1.6.
    tensors = find_state_dict(content, path) if content else read_state_dict(path)
    return InitialWeights(
        path=path,
        tensors=tensors,
        classes=tuple(classes) if known and classes else None,
        styles=tuple(str(name) for name in record.get("styles") or ()),
    )
