"""Networks of other projects in place of a checkpoint."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from callbacks.errors import CheckpointError
from datamodules.stage import Stage
from experiments.runs.folder import relative_to_here
from models.super_resolution.community import CommunityUpscaler
from models.weights.pretrained import WeightsError


def read_community(path: Path, *, record_format: int) -> dict[str, Any]:
    """Reads the weights of an upscaler as a checkpoint of super-resolution, untrained here.

    Args:
        path: a ``.pth`` or ``.safetensors`` file.
        record_format: format of the record.

    Raises:
        CheckpointError: if spandrel is not installed, or does not know the network.
    """
    try:
        net = CommunityUpscaler(weights=path)
    except WeightsError as error:
        raise CheckpointError(
            f"{relative_to_here(path)} is not a checkpoint of Darkroom: it names neither its task nor its network, "
            f"and it is not used as an upscaler of another project: {error}"
        ) from error
    scale = net.active_scale
    stage = Stage(name=f"{scale}x", scale=scale, size=48, batch_size=16, epochs=1, lr=1e-4)
    return {
        "state_dict": {f"net.{name}": tensor for name, tensor in net.state_dict().items()},
        "darkroom": {
            "format": record_format,
            "task": "sr",
            "classes": [],
            "model": {
                "net": {"class_path": "models.CommunityUpscaler", "init_args": net.settings()},
                "loss": {"class_path": "models.L1Loss"},
            },
            "data": {"class_path": "datamodules.SuperResolutionDataModule"},
            "stages": [asdict(stage)],
        },
        "epoch": 0,
        "global_step": 0,
        "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 0}}}},
    }
