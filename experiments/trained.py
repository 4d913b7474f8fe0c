"""A trained super-resolution module for scripts: built from its checkpoint, as the commands do it."""

from pathlib import Path

from experiments.cli import DarkroomCLI
from experiments.execute import make_plan
from experiments.quiet import quiet
from experiments.request import read_request
from lightning_modules.super_resolution import SuperResolutionModule


def trained_module(checkpoint: Path) -> SuperResolutionModule:
    """Builds the module of a checkpoint, its weights in it, in eval mode.

    Raises:
        CheckpointError: if the file is none of super-resolution, or damaged.
    """
    with quiet():
        cli = DarkroomCLI(make_plan(read_request(["--task", "sr", "test", "--ckpt_path", str(checkpoint)])))
    module = cli.model.eval()
    if not isinstance(module, SuperResolutionModule):
        raise TypeError(f"{type(module).__name__} is no SuperResolutionModule")
    return module
