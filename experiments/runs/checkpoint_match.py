"""Comparing a checkpoint with the network and the stages of a run, and loading its weights."""

from collections.abc import Sequence
from dataclasses import asdict

from torch import nn

from callbacks.errors import CheckpointError
from datamodules.stage import Stage, stage_ends, stage_index
from experiments.runs.checkpoint import LoadedCheckpoint
from experiments.runs.folder import relative_to_here

# Fields that may change in a stage that has begun. The others are part of the state of the optimizer and the schedule.
_CHANGEABLE_FIELDS = {"name", "size", "crop", "augment", "patience"}


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
    old = saved_stages[index]
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
    new = stages[stage_index(stages, start)]
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


def _class_list(names: Sequence[str]) -> str:
    return f"{len(names)} class{'' if len(names) == 1 else 'es'} ({', '.join(names)})"
