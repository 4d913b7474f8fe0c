"""``lr-find``: raises the rate step by step, draws the loss over it and suggests one (Smith 2017, arXiv:1506.01186)."""

from io import BytesIO
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser
from lightning.pytorch.tuner.tuning import Tuner

from callbacks.whole_file import whole_file
from experiments.cli import DarkroomCLI
from experiments.run_folder import relative_to_here
from experiments.suggest import UsageError
from lightning_modules.base import ImageTask

if TYPE_CHECKING:
    from lightning.pytorch.tuner.lr_finder import _LRFinder


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the range, the number of steps and the stage."""
    parser.add_argument("--stage", type=int, default=0, help="stage whose data and frozen layers are used, from 0")
    parser.add_argument("--min_lr", type=float, default=1e-6, help="rate of the first step")
    parser.add_argument("--max_lr", type=float, default=1.0, help="rate of the last step")
    parser.add_argument("--steps", type=int, default=100, help="steps from the lowest to the highest rate")


def run(cli: DarkroomCLI) -> int:
    """Looks for the rate at which the loss falls fastest; the network is as before afterwards.

    Departs from a fit in one thing: all layer groups that train get the same rate, whatever ``lr_scale`` says.

    Raises:
        UsageError: if there is no such stage, or the range is empty.
    """
    config = cli.config
    if not 0 <= config.stage < len(cli.stages):
        raise UsageError(f"--stage {config.stage}: there are stages 0 to {len(cli.stages) - 1}")
    if not 0 < config.min_lr < config.max_lr:
        raise UsageError(f"--min_lr {config.min_lr:g} must lie above 0 and below --max_lr {config.max_lr:g}")
    stage = cli.stages[config.stage]
    cli.datamodule.set_stage(stage)
    if isinstance(cli.model, ImageTask):
        cli.model.begin_stage(stage, config.steps)
    cli.trainer.check_val_every_n_epoch = 10**9  # the finder would validate after every pass over a small data set
    finder = Tuner(cli.trainer).lr_find(
        cli.model,
        datamodule=cli.datamodule,
        min_lr=config.min_lr,
        max_lr=config.max_lr,
        num_training=config.steps,
        update_attr=False,
    )
    if not cli.trainer.is_global_zero or finder is None:
        return 0
    suggestion = finder.suggestion()
    path = cli.folder.path / "lr_find.png"
    with whole_file(path) as file:
        file.write(curve(finder, title=f"stage {stage.name}", mark=suggestion is not None))
    print(f"curve: {relative_to_here(path)}")
    if suggestion is None:
        print("no suggestion: the loss never fell. Look at the curve, or try other --min_lr and --max_lr")
    else:
        print(f"suggested for stage '{stage.name}': --stages.{config.stage}.lr {suggestion:.1e} (it has {stage.lr:g})")
    return 0


def curve(finder: "_LRFinder", *, title: str, mark: bool) -> bytes:
    """Draws the loss over the rate, the suggestion marked if there is one, as the bytes of a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    finder.plot(suggest=mark, ax=axes)
    axes.set_title(title)
    axes.grid(visible=True, which="both", alpha=0.3)
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
