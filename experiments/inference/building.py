"""Builds the network of a checkpoint for inference, without importing Lightning where the task allows it."""

from dataclasses import replace
from inspect import signature

from torch import nn

from experiments.runs.checkpoint import LoadedCheckpoint
from experiments.runs.checkpoint_match import load_weights
from experiments.runs.record import as_checkpoint_error, build_from_record
from experiments.tasks.table import TASKS


def build_network(checkpoint: LoadedCheckpoint, *, trust_config: bool = False) -> nn.Module:
    """Builds the network that a checkpoint's record describes, loads its weights and sets its stage.

    Args:
        checkpoint: the checkpoint.
        trust_config: whether the record may name classes of any package, whose code then runs.

    Returns:
        The task's ``InferenceNetwork``, or its module if it has none; in eval mode, on the CPU.

    Raises:
        CheckpointError: if the task is unknown, the record names a class that is not allowed or does not exist, or
            arguments or weights do not fit.
    """
    task = TASKS.get(str(checkpoint.record["task"]))
    if task is None or task.network is None:
        from experiments.runs.trained_module import build_module  # late: imports Lightning

        return build_module(checkpoint, trust_config=trust_config)
    kind = task.network()
    names = signature(kind).parameters
    settings = {name: value for name, value in checkpoint.record["model"].items() if name in names}
    network = build_from_record(kind, settings, checkpoint, links=kind.links, trust_config=trust_config)
    with as_checkpoint_error(checkpoint.path):
        network.set_stage(checkpoint.stage)
    weights = {name: tensor for name, tensor in checkpoint.weights.items() if name.startswith("net.")}
    load_weights(network, replace(checkpoint, weights=weights))
    return network.eval()
