"""Measures the time to a Dice with stages of growing size, beside training at the last size alone.

    python -m experiments.benchmarks stages [--goal 0.97] [--root CARVANA]

Both forms train the recipe ``sample`` from random weights on the same images with the same seed, at the same time, each
on one core in a process of its own. The form without stages has as many epochs, all of them at the last size and in one
cycle at the first stage's rate. A form ends when a validation at the last size reaches the goal; the time is processor
time, validations included. There is one run of each, since a run takes minutes: repeat it with other seeds.

Exit codes: 0 if stages need at most half of the time, 1 if not, or if a form never reaches the goal.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import get_loader
from lightning import Callback, LightningModule, Trainer

from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.training.step_seed import StepSeed
from datamodules.segmentation.carvana import CarvanaDataModule
from datamodules.stage import Stage
from experiments.benchmarks.side_by_side import run_side_by_side
from lightning_modules.segmentation import SegmentationModule
from models.segmentation.unet import UNet

RECIPE = Path(__file__).parents[1] / "recipes/segment/sample.yaml"
FORMS = ("stages", "one size")
SHARE = 0.5  # of the time at one size


class Clock(Callback):
    """Records the score of each epoch with the processor time so far, and stops at the goal.

    Args:
        size: side in pixels at which the goal counts.
        goal: Dice.
    """

    def __init__(self, size: int, goal: float) -> None:
        self.size, self.goal, self.start = size, goal, time.process_time()
        self.rows: list[tuple[float, int, float]] = []  # seconds, size, Dice

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reads the score, which the module has logged at the end of the epoch."""
        assert isinstance(pl_module, SegmentationModule)
        assert pl_module.stage is not None
        dice, size = float(trainer.callback_metrics["val/dice"]), pl_module.stage.size
        self.rows.append((time.process_time() - self.start, size, dice))
        trainer.should_stop = self.seconds < math.inf

    @property
    def seconds(self) -> float:
        """Time to the goal; infinite if it was not reached."""
        return min(
            (seconds for seconds, size, dice in self.rows if size == self.size and dice >= self.goal), default=math.inf
        )


def main(argv: Sequence[str]) -> int:
    """Trains both forms and prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks stages", description="Time to a Dice with stages.")
    parser.add_argument("--goal", type=float, default=0.97, help="Dice of the validation at the last size")
    parser.add_argument("--root", type=Path, help="Carvana's folder (default: the sample cars)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.only:
        torch.set_num_threads(1)
        options.out.write_text(json.dumps(train(form_stages(options.only), options)), encoding="utf-8")
        return 0
    CarvanaDataModule(root=options.root, seed=options.seed).prepare(form_stages("stages"))
    results = run_side_by_side("experiments.benchmarks.stages", argv, FORMS)
    if results is None:
        return 1
    print(f"processor time of one core to Dice {options.goal} at the last size, torch {torch.__version__}")
    for form, result in results.items():
        rows = result["rows"]
        print(f"{form:10}{result['seconds']:8.0f} s  after {len(rows)} epochs; last Dice {rows[-1][2]:.4f}")
    share = results["stages"]["seconds"] / results["one size"]["seconds"]
    print(f"stages need {share:.2f} of the time (goal: at most {SHARE})")
    return 0 if share <= SHARE else 1


def form_stages(form: str) -> list[Stage]:
    """The stages of a form.

    >>> [(stage.size, stage.epochs) for stage in form_stages("one size")]
    [(256, 18)]
    """
    # jsonargparse's loader reads 4e-3 as a number
    stages = [Stage(**fields) for fields in get_loader("yaml")(RECIPE.read_text(encoding="utf-8"))["stages"]]
    if form == "stages":
        return stages
    epochs = sum(stage.epochs for stage in stages)
    return [replace(stages[0], name="one size", size=stages[-1].size, epochs=epochs)]


def train(stages: Sequence[Stage], options: argparse.Namespace) -> dict[str, Any]:
    """Trains one form.

    Returns:
        ``seconds`` to the goal, and ``rows`` of seconds, size and Dice, one for each epoch.
    """
    torch.manual_seed(options.seed)
    module = SegmentationModule(
        net=UNet(encoder="mobilenet_v2", pretrained="none"), dice_weight=1.0, channels_last=True
    )
    data = CarvanaDataModule(root=options.root, seed=options.seed, num_workers=0)
    clock = Clock(stages[-1].size, options.goal)
    trainer = Trainer(
        max_epochs=sum(stage.epochs for stage in stages),
        accelerator="cpu",
        precision="32-true",
        callbacks=[ProgressiveResizing(stages, dry_run=False), StepSeed(options.seed), clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=len(stages) == 1,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=data)
    return {"seconds": clock.seconds, "rows": clock.rows}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
