"""``lr-find``: learning rate range test, which plots the loss over the rate (Smith 2017, arXiv:1506.01186)."""

from collections.abc import Sequence
from io import BytesIO
from typing import Literal

import numpy as np
from jsonargparse import ArgumentParser
from lightning.pytorch.tuner.tuning import Tuner

from callbacks.output_file import output_file
from experiments.cli.usage import UsageError
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.base import ImageTask

# The first values of the smoothed loss are averages over too few steps.
_SKIPPED_STEPS = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the range, the number of steps and the stage."""
    parser.add_argument("--stage", type=int, default=0, help="stage whose data and frozen layers are used, from 0")
    parser.add_argument("--min_lr", type=float, default=1e-6, help="learning rate of the first step")
    parser.add_argument("--max_lr", type=float, default=1.0, help="learning rate of the last step")
    parser.add_argument("--steps", type=int, default=100, help="number of steps from the lowest to the highest rate")
    parser.add_argument(
        "--sweep",
        type=Literal["exponential", "linear"],
        default="exponential",
        help="whether each step multiplies the rate, or adds to it: linear shows more of the highest rates",
    )


def run(context: RunContext) -> int:
    """Plots the loss over the learning rate and prints the rate at which it falls fastest.

    All trained layer groups use the same rate; ``lr_scale`` is ignored. The weights are restored afterwards.

    Raises:
        UsageError: if the stage does not exist, or the range is empty.
    """
    config = context.config
    if not 0 <= config.stage < len(context.stages):
        raise UsageError(f"--stage {config.stage}: there are stages 0 to {len(context.stages) - 1}")
    if config.steps < 2:
        raise UsageError(f"--steps must be at least 2, not {config.steps}")
    if not 0 < config.min_lr < config.max_lr:
        raise UsageError(f"--min_lr {config.min_lr:g} must be above 0 and below --max_lr {config.max_lr:g}")
    stage = context.stages[config.stage]
    context.datamodule.set_stage(stage)
    if isinstance(context.model, ImageTask):
        context.model.begin_stage(stage, config.steps)
    context.trainer.check_val_every_n_epoch = 10**9  # otherwise it validates after every pass over the data
    finder = Tuner(context.trainer).lr_find(
        context.model,
        datamodule=context.datamodule,
        min_lr=config.min_lr,
        max_lr=config.max_lr,
        num_training=config.steps,
        mode=config.sweep,
        update_attr=False,
    )
    if not context.trainer.is_global_zero or finder is None:
        return 0
    rates, losses = finder.results["lr"], finder.results["loss"]
    suggestion = steepest(rates, losses)
    path = context.folder.path / "lr_find.png"
    with output_file(path) as file:
        file.write(plot_losses(rates, losses, title=f"stage {stage.name}", mark=suggestion, sweep=config.sweep))
    print(f"curve: {relative_to_here(path)}")
    if suggestion is None:
        print("no suggestion: the loss never fell. See the curve, or try other values of --min_lr and --max_lr")
    else:
        print(f"suggested for stage '{stage.name}': --stages.{config.stage}.lr {suggestion:.1e} (now {stage.lr:g})")
    return 0


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Returns the rate at which the loss falls fastest over the *logarithm* of the rate; ``None`` if it never falls.

    Lightning's suggestion uses the slope over the rate itself, which favors small rates: for a U-Net whose loss falls
    from 1e-3 to 4e-1 it suggested 2e-4.

    Args:
        rates: increasing, above 0.
        losses: smoothed loss at each rate.

    >>> rates = [10 ** (place / 10 - 4) for place in range(40)]
    >>> losses = [1 - 0.2 * np.tanh(np.log10(rate / 1e-2) * 3) for rate in rates]
    >>> round(steepest(rates, losses), 4)
    0.01
    """
    finite = np.isfinite(losses)
    finite[:_SKIPPED_STEPS] = finite[-1:] = False
    if finite.sum() < 3:
        return None
    log_rate, loss = np.log(np.asarray(rates)[finite]), np.asarray(losses)[finite]
    slope = np.gradient(loss, log_rate)
    return float(np.exp(log_rate[slope.argmin()])) if slope.min() < 0 else None


def plot_losses(
    rates: Sequence[float],
    losses: Sequence[float],
    *,
    title: str,
    mark: float | None,
    sweep: Literal["exponential", "linear"],
) -> bytes:
    """Plots the loss over the rate, with a line at ``mark``, and returns a PNG file.

    Args:
        rates: increasing, above 0.
        losses: smoothed loss at each rate.
        title: of the plot.
        mark: rate that is suggested, or ``None``.
        sweep: the axis of the rates is logarithmic for an exponential sweep.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot(rates[_SKIPPED_STEPS:], losses[_SKIPPED_STEPS:])
    if mark is not None:
        axes.axvline(mark, color="tab:red", label=f"suggested: {mark:.1e}")
        axes.legend()
    axes.set(xlabel="learning rate", ylabel="smoothed loss", title=title)
    axes.set_xscale("log" if sweep == "exponential" else "linear")
    axes.grid(visible=True, which="both", alpha=0.3)
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
