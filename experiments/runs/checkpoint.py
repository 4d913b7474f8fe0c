"""Loading checkpoints: reading the file, comparing it with the run's settings, and loading its weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from callbacks.checkpoints.checkpoint_io import find_damage, read_checkpoint
from callbacks.errors import CheckpointError
from datamodules.stage import Stage, stage_ends, stage_index
from experiments.cli.settings import plain_values
from experiments.cli.yaml_limits import record_fault
from experiments.runs.community import read_community
from experiments.runs.exported import read_network
from experiments.runs.folder import RunFolder, relative_to_here
from experiments.runs.onnx_file import read_onnx
from lightning_modules.base import ImageTask
from models.super_resolution.community import CommunityUpscaler
from models.weights.limits import is_archive
from models.weights.pretrained import find_state_dict, read_state_dict

FORMAT = 2
_EXPORTS = {
    ".pt2": "run it with torch.export.load, or name the checkpoint that it was made from",
}
# Fields that may change in a stage that has begun. The others are part of the state of the optimizer and the schedule.
_CHANGEABLE_FIELDS = {"name", "size", "crop", "augment", "patience"}


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


def checkpoint_record(task: str, model: ImageTask, config_text: str) -> dict[str, Any]:
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


def check_network(module: nn.Module, checkpoint: LoadedCheckpoint) -> None:
    """Compares the classes, and then the names and shapes of all tensors.

    Raises:
        CheckpointError: naming the classes, or the first tensor that does not match.
    """
    shown = relative_to_here(checkpoint.path)
    saved, wanted = checkpoint.record.get("classes"), getattr(module, "classes", ())
    if saved is not None and len(saved) != len(wanted):
        raise CheckpointError(
            f"{shown} was trained on {_class_list(saved)}, but {_class_list(wanted)} are configured: configure the "
            "classes of the checkpoint, or start a new run without it"
        )
    own, optional = module.state_dict(), tuple(getattr(module, "training_only", ()))
    for name, tensor in own.items():
        if name not in checkpoint.weights:
            if name.startswith(optional):  # an exported network
                continue
            raise CheckpointError(f"{shown} does not match the network: it has no '{name}'")
        if (found := checkpoint.weights[name].shape) != tensor.shape:
            raise CheckpointError(
                f"{shown} does not match the network: '{name}' is {tuple(found)} in the file and "
                f"{tuple(tensor.shape)} in the network"
            )
    if surplus := [name for name in checkpoint.weights if name not in own]:
        raise CheckpointError(f"{shown} does not match the network, which has no '{surplus[0]}'")


def check_stage(stages: Sequence[Stage], checkpoint: LoadedCheckpoint) -> None:
    """Refuses to resume a stage whose optimization settings differ from those it began with.

    Learning rates, scale and number of steps are part of the restored state of the optimizer and its schedule: another
    value would be ignored, or the state would not match.

    Raises:
        CheckpointError: naming the field and both values.
    """
    done, saved_stages = checkpoint.epochs_done, checkpoint.stages
    if done >= stage_ends(stages)[-1]:
        return  # complete: ``fit`` reports it
    index = stage_index(saved_stages, checkpoint.epoch)
    old, new = saved_stages[index], stages[stage_index(stages, done)]
    ends, new_ends = stage_ends(saved_stages), stage_ends(stages)
    begun = done < ends[index]
    start = ends[index] - old.epochs if begun else done
    if start not in (0, *new_ends):
        raise CheckpointError(
            f"{relative_to_here(checkpoint.path)} was saved in the stage '{old.name}' with stages that end after "
            f"{', '.join(map(str, ends))} epochs, not {', '.join(map(str, new_ends))}: --resume cannot change the "
            "epochs of stages that were trained. To train from these weights with other stages use --init_from"
        )
    if not begun:
        return  # the next stage starts with a new optimizer and schedule
    for field, saved in asdict(old).items():
        asked = getattr(new, field)
        if field not in _CHANGEABLE_FIELDS and saved != asked:
            raise CheckpointError(
                f"{relative_to_here(checkpoint.path)} was saved in the stage '{old.name}' with {field} {saved}, not "
                f"{asked}: --resume cannot change a stage that has begun, only later ones. To train from these "
                "weights with other settings use --init_from"
            )


def load_weights(module: nn.Module, checkpoint: LoadedCheckpoint) -> None:
    """Loads all weights of the checkpoint into ``module``.

    Raises:
        CheckpointError: see ``check_network``.
    """
    check_network(module, checkpoint)
    module.load_state_dict({**module.state_dict(), **checkpoint.weights})


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


def _class_list(names: Sequence[str]) -> str:
    return f"{len(names)} class{'' if len(names) == 1 else 'es'} ({', '.join(names)})"
