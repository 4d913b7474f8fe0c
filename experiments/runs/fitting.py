"""Whether a checkpoint goes with what is asked for: known before an image is read, and said in one line."""

from collections.abc import Sequence
from dataclasses import asdict

from torch import nn

from callbacks.errors import CheckpointError
from datamodules.stage import Stage, stage_ends, stage_index
from experiments.runs.checkpoint import Loaded
from experiments.runs.folder import relative_to_here

#: What may change in a stage that has begun: everything else is in the optimiser's and the schedule's state.
_FREE = {"name", "size", "augment"}


def check_network(module: nn.Module, loaded: Loaded) -> None:
    """Compares classes first, as the plainest reason, then every tensor.

    Raises:
        CheckpointError: naming the classes, or the first tensor that does not fit.
    """
    shown = relative_to_here(loaded.path)
    saved, wanted = loaded.record.get("classes"), getattr(module, "classes", ())
    if saved is not None and len(saved) != len(wanted):
        raise CheckpointError(
            f"{shown} was trained on {_classes(saved)}, and here there are {_classes(wanted)}: name the classes it "
            "knows, or start a new run without it"
        )
    own = module.state_dict()
    for name, tensor in own.items():
        if name not in loaded.weights:
            raise CheckpointError(f"{shown} does not fit the network: it has no '{name}'")
        if (found := loaded.weights[name].shape) != tensor.shape:
            raise CheckpointError(
                f"{shown} does not fit the network: '{name}' is {tuple(found)} in the file and "
                f"{tuple(tensor.shape)} in the network"
            )
    if surplus := [name for name in loaded.weights if name not in own]:
        raise CheckpointError(f"{shown} does not fit the network, which has no '{surplus[0]}'")


def put_weights(module: nn.Module, loaded: Loaded) -> None:
    """Puts the checkpoint's weights into ``module``, all of them.

    Raises:
        CheckpointError: as ``check_network``.
    """
    check_network(module, loaded)
    module.load_state_dict(loaded.weights)


def check_stage(stages: Sequence[Stage], loaded: Loaded) -> None:
    """Refuses to go on with a stage that is no longer the one that was begun.

    Rates, magnification and the number of steps are in the state of the optimiser and its schedule, which is what a
    resumed run goes on with: another value would be ignored, or the state would not fit.

    Raises:
        CheckpointError: naming the field and both values.
    """
    done, before = loaded.epochs_done, loaded.stages
    if done >= stage_ends(stages)[-1]:
        return  # finished, and said to be
    old, new = (found[stage_index(found, done)] for found in (before, stages))
    for field, saved in asdict(old).items():
        asked = getattr(new, field)
        if field not in _FREE and saved != asked:
            raise CheckpointError(
                f"{relative_to_here(loaded.path)} was saved in the stage '{old.name}' with {field} {saved}, not "
                f"{asked}: --resume goes on with a stage as it was begun; later ones may be changed. To train from "
                "these weights in another way use --init_from"
            )


def _classes(names: Sequence[str]) -> str:
    return f"{len(names)} class{'' if len(names) == 1 else 'es'} ({', '.join(names)})"
