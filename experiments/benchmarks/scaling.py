"""Predicts the time of a training step on 1 to 256 GPUs, and checks the prediction on this machine's CPU.

    python -m experiments.benchmarks.scaling            the tables of experiments/cluster/SCALING.md
    python -m experiments.benchmarks.scaling --check    1, 2 and 4 processes here, predicted and measured

Operations and bytes of gradients are counted in the recipes' networks. The speed of GPUs and network is assumed and can
be set by options; the defaults stand for nodes of eight A100 with 25 GB/s between nodes.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from datamodules.loading.parallel import usable_cores
from datamodules.stage import Stage
from experiments.benchmarks.cost_model import Machine, Work, epoch_seconds, step
from experiments.benchmarks.count import recipe_work, stage_work
from experiments.benchmarks.throughput import seconds_per_allreduce, seconds_per_step, timed_stage
from experiments.cli.settings import read_settings
from experiments.tasks.table import TASKS

GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
#: Recipe, its stages, training and validation images: Kaggle's Carvana, and the lesson's fractions of ImageNet's
#: 1,281,167 images.
STAGES = {
    "segment": ("carvana", ("128 all", "512 all", "1024 all"), 4080, 1008),
    "sr": ("imagenet", ("2x", "4x all"), 23061, 2562),
    "style": ("imagenet", ("256 px",), 115305, 12812),
}


def main(argv: Sequence[str]) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.scaling", description="Time of a step on many GPUs.")
    parser.add_argument("--tflops", type=float, default=30, help="10^12 operations per second of one GPU")
    parser.add_argument("--floor", type=float, default=20, help="milliseconds per step that do not depend on the batch")
    parser.add_argument("--pause", type=float, default=2, help="seconds per epoch beside its steps")
    parser.add_argument("--node", type=int, default=8, help="GPUs per node")
    parser.add_argument("--near", type=float, default=150, help="GB/s between the GPUs of a node")
    parser.add_argument("--far", type=float, default=25, help="GB/s between nodes; 1.25 is plain 10-gigabit Ethernet")
    parser.add_argument("--loading", type=float, default=400, help="MB/s of images that the loaders deliver to one GPU")
    parser.add_argument("--check", action="store_true", help="predict and measure on this machine instead")
    parser.add_argument("--tasks", nargs="+", choices=STAGES, default=list(STAGES), help="tasks")
    parser.add_argument("--steps", type=int, default=40, help="steps per measured run")
    options = parser.parse_args(argv)
    if options.check:
        for number, task in enumerate(options.tasks):
            check(task, steps=options.steps, head=number == 0)
        return 0
    machine = Machine(
        rate=options.tflops * 1e12,
        floor=options.floor / 1e3,
        pause=options.pause,
        node=options.node,
        near=options.near * 1e9,
        far=options.far * 1e9,
        hop=5e-6,
        loading=options.loading * 1e6,
        hidden=0.5,
    )
    for task in options.tasks:
        recipe, stages, images, validation = STAGES[task]
        for work in recipe_work(task, recipe, stages, images=images, validation=validation):
            table(work, machine)
    return 0


def table(work: Work, machine: Machine) -> None:
    """Prints one stage: the recipe's batch split over the GPUs, and a batch that grows with their number."""
    print(
        f"\n{work.name}: {work.images} images, batch {work.batch}, {work.operations / 1e9:.1f} GFLOP per image, "
        f"gradients of {work.gradient / 1e6:.1f} MB"
    )
    print("        recipe's batch, split over the GPUs           recipe's batch on each GPU")
    print(" GPUs   each  ms/step        speedup  bound by          steps/epoch  ms/step  epoch s  of ideal")
    alone = epoch_seconds(work, machine, processes=1, batch=work.batch)
    for gpus in GPUS:
        line = f"{gpus:5}"
        if work.batch % gpus == 0:
            shared = step(work, machine, processes=gpus, batch=work.batch)
            faster = alone / epoch_seconds(work, machine, processes=gpus, batch=work.batch)
            line += f"{work.batch // gpus:7}{shared.seconds * 1e3:9.1f}{faster:15.1f}  {shared.bound:16}"
        else:
            line += f"{'less than one':>33}{'':16}"
        batch = work.batch * gpus
        if (steps := work.images // batch) > 0:
            grown = step(work, machine, processes=gpus, batch=batch)
            seconds = epoch_seconds(work, machine, processes=gpus, batch=batch)
            line += f"{steps:13}{grown.seconds * 1e3:9.1f}{seconds:9.1f}{alone / gpus / seconds:10.0%}"
        else:
            line += f"{0:13}  less than one batch"
        print(line)


def check(task: str, *, steps: int, head: bool, batch: int = 8) -> None:
    """Prints predicted and measured step times; predictions use one process and a bare all-reduce."""
    settings = read_settings(TASKS[task].recipe_file("sample"))
    stage = Stage(**timed_stage(task, batch))
    work = stage_work(task, settings, stage, images=0, validation=0)
    cores = usable_cores()

    def measured(processes: int, images: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return seconds_per_step(
                task, folder=Path(folder), processes=processes, threads=1, batch=images, steps=steps
            )

    whole, half = measured(1, batch), measured(1, batch // 2)
    per_image = max(whole - half, 0.0) / (batch - batch // 2)
    floor = max(whole - batch * per_image, 0.0)
    if head:
        print(f"{cores} cores, one thread per process, batch {batch}, {steps} steps; ms per step")
        print(
            f"{'task':10}{'processes':>10}{'computing':>11}{'exchange':>10}{'predicted':>11}{'measured':>10}{'error':>7}"
        )
    for processes in (1, 2, 4):
        share = max(1.0, processes / cores)  # processes per core
        exchange = seconds_per_allreduce(processes, round(work.gradient)) if processes > 1 else 0.0
        compute = (floor + batch / processes * per_image) * share
        predicted = compute + exchange
        seconds = whole if processes == 1 else measured(processes, batch)
        line = f"{task:10}{processes:10}{compute * 1e3:11.1f}{exchange * 1e3:10.1f}{predicted * 1e3:11.1f}"
        print(f"{line}{seconds * 1e3:10.1f}{predicted / seconds - 1:+7.0%}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
