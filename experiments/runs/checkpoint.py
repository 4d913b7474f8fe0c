"""Reading checkpoints, and the files that are used in place of one."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from callbacks.checkpoints.reading import find_damage, read_checkpoint
from callbacks.errors import CheckpointError
from datamodules.stage import Stage, stage_index
from experiments.cli.settings import plain_values
from experiments.cli.yaml_limits import record_fault
from experiments.runs.community import read_community
from experiments.runs.exported import read_network
from experiments.runs.folder import RunFolder, relative_to_here
from models.super_resolution.community import CommunityUpscaler

if TYPE_CHECKING:
    from lightning_modules.base import ImageTask

FORMAT = 2
_EXPORTS = {
    ".pt2": "run it with torch.export.load, or name the checkpoint that it was made from",
}


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint:
    """A checkpoint of the task in use.

    Args:
        path: the file.
        weights: state dict of the module.
        record: task, model, data and stages as plain values; see ``checkpoint_record``.
        epoch: epoch during or after which it was saved, from 0.
        epochs_done: number of completed epochs.
        steps_done: number of completed optimizer steps.
    """

    path: Path
    weights: dict[str, Tensor]
    record: dict[str, Any]
    epoch: int
    epochs_done: int
    steps_done: int

    @property
    def stages(self) -> list[Stage]:
        """Stages of the run that saved it."""
        return [stage_from(values) for values in self.record["stages"]]

    @property
    def stage(self) -> Stage:
        """Stage in which it was saved."""
        stages = self.stages
        return stages[stage_index(stages, self.epoch)]


def checkpoint_record(task: str, model: "ImageTask", config_text: str) -> dict[str, Any]:
    """Describes a run in plain values, for its checkpoints: reading them must not run code."""
    settings = plain_values(config_text)
    if model.styles:  # the names stay when files are renamed, and without them
        settings["data"]["init_args"]["style_names"] = list(model.styles)
    net: nn.Module = model.net
    if isinstance(net, CommunityUpscaler):  # the checkpoint is enough, without the file that the run began with
        settings["model"]["net"]["init_args"] = net.settings()
    return {
        "format": FORMAT,
        "task": task,
        "classes": list(model.classes),
        **({"styles": list(model.styles)} if model.styles else {}),
        **{key: settings[key] for key in ("model", "data", "stages")},
    }


def load_checkpoint(path: Path, task: str | None = None) -> LoadedCheckpoint:
    """Reads a checkpoint, or a file that is used in place of one.

    These are weights that ``export --format safetensors`` wrote, ONNX exports, and upscalers of other projects.

    Args:
        path: the file.
        task: the task that it must belong to; ``None`` accepts every task.

    Raises:
        CheckpointError: if it is missing, damaged, not written by Darkroom, or of another format or task.
    """
    if path.suffix in _EXPORTS:
        raise CheckpointError(
            f"{relative_to_here(path)} is an export without the settings of its run: {_EXPORTS[path.suffix]}"
        )
    if path.suffix == ".onnx":
        from experiments.runs.onnx_file import read_onnx  # late: imports the losses, with torchvision

        return _interpret(path, read_onnx(path, record_format=FORMAT), task)
    content = read_network(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    if content.get("darkroom") is None and path.suffix in (".pth", ".safetensors") and task in (None, "sr"):
        content = read_community(path, record_format=FORMAT)
    return _interpret(path, content, task)


def load_newest(folder: RunFolder, task: str) -> tuple[LoadedCheckpoint, dict[str, Any]]:
    """Reads the checkpoint to resume from: ``last.ckpt``, or else the undamaged file with the most steps.

    The number of steps decides and not the time of the files, which is wrong after a clock was set back or a folder
    was copied.

    Returns:
        The checkpoint, and the whole content of its file, from which the trainer restores its state.

    Raises:
        CheckpointError: if no file can be read, or the checkpoint is of another format or task.
    """
    last = folder.checkpoints / "last.ckpt"
    chosen, content, skipped = None, {}, []
    for path in sorted(folder.checkpoint_files, key=lambda file: file != last):
        try:
            candidate = read_checkpoint(path)
        except CheckpointError:
            skipped.append(f"{relative_to_here(path)} ({find_damage(path) or 'not a checkpoint'})")
            continue
        if chosen is None or candidate.get("global_step", 0) > content.get("global_step", 0):
            chosen, content = path, candidate
        if path == last:
            break
    if chosen is None:
        raise CheckpointError(f"no checkpoint of {relative_to_here(folder.path)} can be read: {'; '.join(skipped)}")
    if chosen != last:
        reason = f"skipped as damaged: {'; '.join(skipped)}" if skipped else f"there is no {relative_to_here(last)}"
        print(f"{reason}. Resuming from {relative_to_here(chosen)}, step {content.get('global_step', 0)}")
    return _interpret(chosen, content, task), content


def stage_from(values: dict[str, Any]) -> Stage:
    """Makes a stage from plain values, as a checkpoint or YAML holds them."""
    values = {field.name: values[field.name] for field in fields(Stage) if field.name in values}
    if isinstance(values.get("lr_scale"), list):
        values["lr_scale"] = tuple(values["lr_scale"])
    return Stage(**values)


def _interpret(path: Path, content: dict[str, Any], task: str | None) -> LoadedCheckpoint:
    record = content.get("darkroom")
    shown = relative_to_here(path)
    if not isinstance(record, dict) or "task" not in record:
        raise CheckpointError(f"{shown} is not a checkpoint of Darkroom: it names neither its task nor its network")
    if record.get("format") != FORMAT:
        raise CheckpointError(
            f"{shown} has format {record.get('format')!r}, this version of Darkroom reads format {FORMAT}"
        )
    if fault := record_fault(record):
        raise CheckpointError(f"{shown} has a record that is not used: {fault}")
    if task is not None and record["task"] != task:
        raise CheckpointError(f"{shown} is a checkpoint of the task '{record['task']}': use --task {record['task']}")
    try:
        return LoadedCheckpoint(
            path=path,
            weights=content["state_dict"],
            record={**record, **{key: record[key] for key in ("model", "data", "stages")}},
            epoch=content["epoch"],
            epochs_done=content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"],
            steps_done=content["global_step"],
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{shown} is not a checkpoint of Darkroom: it lacks {error}") from error
