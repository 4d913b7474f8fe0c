"""Measures what ``fit`` adds to a training step: beside a plain loop, and beside Lightning's Trainer with its defaults.

    python -m experiments.benchmarks overhead [--rounds 7]

All forms train the same network of a few thousand weights on the same samples, loaded in the same process, with the
same loss, Adam and schedule; the network is so small that the rest of a step shows. ``fit`` runs with all its
callbacks: every step is logged to TensorBoard, checked for values that are not finite, and timed. Lightning logs every
50th step.
Measured is processor time per step; what a form adds is its time minus that of the plain loop in the same round.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from tqdm import tqdm

from experiments.benchmarks.interleave import MISSED, UNCLEAR, add_arguments, machine
from experiments.cli.arguments import read_arguments
from experiments.cli.log_filter import filter_logs
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from experiments.runs.context import RunContext
from lightning_modules.base import ImageTask
from lightning_modules.typed_trainer import typed

PLAIN, DEFAULTS, OURS = "plain loop", "Lightning's defaults", "fit"
#: Goals: milliseconds that ``fit`` adds, and those relative to what Lightning's defaults add.
MILLISECONDS, SHARE = 0.45, 0.5
_WARM_UP, _ROUNDS = 20, 7
_STAGE = "{name: timed, scale: 2, size: 16, batch_size: 1, epochs: 1, lr: 1e-4}"


class StepTimes(Callback):
    """Records the processor time at the end of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        """Records the time."""
        self.times.append(time.process_time())


class MinimalModule(LightningModule):
    """Trains a task's network with its loss, as Lightning's introduction does."""

    def __init__(self, task: ImageTask, steps: int) -> None:
        super().__init__()
        self.task, self.steps = task, steps

    def training_step(self, batch: Any) -> Tensor:
        """Returns and logs the loss."""
        loss = self.task.losses(batch)["loss"]
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer of the plain loop."""
        optimizer, schedule = adam(self.task, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks overhead", description="What fit adds to a step.")
    parser.add_argument("--steps", type=int, default=120, help="steps of each form in a round, 20 of them to warm up")
    add_arguments(parser)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    print(machine("lightning", "torchmetrics", "tensorboard"))
    forms: dict[str, Callable[[Path, int], list[float]]] = {PLAIN: plain_loop, DEFAULTS: lightning_fit, OURS: real_fit}
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    for number in tqdm(range(1 + (options.rounds or _ROUNDS)), desc="measuring", unit="round", leave=False):
        for form, run in forms.items():
            with tempfile.TemporaryDirectory() as folder, filter_logs(), _silence():
                times = run(Path(folder), options.steps)[_WARM_UP:]
            if number:
                seconds[form].append((times[-1] - times[0]) / (len(times) - 1))
    return report(seconds, max_spread=options.max_spread)


def plain_loop(folder: Path, steps: int) -> list[float]:
    """A loop without Trainer: batch, loss, backward, step."""
    with ExitStack() as locks:
        context = make_context(folder, locks)
        task, data = context.model.train(), context.datamodule
        data.prepare(context.stages)
        data.setup("fit")
        optimizer, schedule = adam(task, steps)
        times = []
        for _, batch in zip(range(steps), data.train_dataloader(), strict=False):
            loss = task.losses(batch)["loss"]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            times.append(time.process_time())
        return times


def lightning_fit(folder: Path, steps: int) -> list[float]:
    """Lightning's Trainer with its defaults: logger, checkpoints and progress bar."""
    with ExitStack() as locks:
        context = make_context(folder, locks)
        context.datamodule.planned = context.stages
        record = StepTimes()
        trainer = Trainer(accelerator="cpu", max_steps=steps, default_root_dir=folder, callbacks=[record])
        module = MinimalModule(context.model, steps)
        trainer.fit(module, train_dataloaders=_loader(context))
        return record.times


def real_fit(folder: Path, steps: int) -> list[float]:
    """The command ``fit`` with all its callbacks."""
    with ExitStack() as locks:
        context = make_context(folder, locks, "--trainer.max_steps", str(steps))
        context.datamodule.planned = context.stages
        record = StepTimes()
        typed(context.trainer).callbacks.append(record)
        context.trainer.fit(context.model, datamodule=context.datamodule)
        return record.times


def make_context(folder: Path, locks: ExitStack, *flags: str) -> RunContext:
    """Builds the run of super-resolution on its samples, with a network of a few thousand weights."""
    words = [
        *("--task", "sr", "--runs", str(folder / "runs"), "--name", "timed", "--stages", f"[{_STAGE}]"),
        *("--model.net.width", "4", "--model.net.blocks", "1", "--data.num_workers", "0", "--data.crops", "64"),
        *("--trainer.accelerator", "cpu", "--trainer.precision", "32-true"),
        *("--trainer.limit_val_batches", "0", "--trainer.num_sanity_val_steps", "0"),
    ]
    return build_context(make_plan(read_arguments([*words, *flags]), locks))


def adam(task: ImageTask, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam as one kernel with a one-cycle schedule."""
    optimizer = torch.optim.Adam(task.net.parameters(), lr=1e-4, fused=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-4, total_steps=steps + 1)


def report(seconds: dict[str, list[float]], *, max_spread: float) -> int:
    """Prints the times and what the Trainers add; returns the exit code."""
    print(f"milliseconds of processor time per step, {len(seconds[PLAIN])} rounds\n{'':24}{'median':>8}   (quartiles)")
    for form, values in seconds.items():
        low, middle, high = (1e3 * value for value in quantiles(values, n=4, method="inclusive"))
        print(f"{form:24}{middle:8.3f}   ({low:.3f} to {high:.3f})")
    added = {
        form: [1e3 * (own - base) for own, base in zip(seconds[form], seconds[PLAIN], strict=True)] for form in seconds
    }
    shares = [own / other for own, other in zip(added[OURS], added[DEFAULTS], strict=True)]
    code = 0
    for name, values, goal in (
        ("fit adds, in ms", added[OURS], MILLISECONDS),
        ("of what Lightning adds", shares, SHARE),
    ):
        low, middle, high = quantiles(values, n=4, method="inclusive")
        wide = high - low > max_spread * abs(middle)
        verdict = "SPREAD TOO WIDE" if wide else "met" if middle <= goal else "MISSED"
        print(f"{name:24}{middle:8.3f}   ({low:.3f} to {high:.3f}), goal {goal:g}: {verdict}")
        code = max(code, UNCLEAR if wide else 0 if middle <= goal else MISSED)
    return code


@contextmanager
def _silence() -> Iterator[None]:
    """Hides progress bars and messages, which are written nevertheless."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def _loader(context: RunContext) -> Any:
    data = context.datamodule
    data.prepare(context.stages)
    data.setup("fit")
    return data.train_dataloader()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
