"""Measures the time of training steps and of all-reduce, for the benchmarks of processes and threads."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import find_free_network_port

RUN = Path(__file__).parents[1] / "run.py"
#: Fields of the one stage that each task's sample recipe is run with, and options that avoid downloads.
TASKS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "segment": ({"size": 128}, ("--model.net.pretrained", "none")),
    "sr": ({"size": 40, "scale": 2}, ()),
    "style": ({"size": 128}, ("--model.loss.weights", "none")),
}


class StepTimer(Callback):
    """Writes the duration of each step, from the end of the previous one.

    Args:
        file: JSON file that rank 0 writes, in seconds.
        skip: warm-up steps that are left out.
    """

    def __init__(self, file: Path, skip: int = 3) -> None:
        self.file, self.skip = file, skip
        self._seconds: list[float] = []
        self._mark: float | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves out the time between epochs, when figures are drawn and checkpoints saved."""
        self._mark = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Records the time since the previous step."""
        now = time.perf_counter()
        if self._mark is not None and trainer.global_step > self.skip:
            self._seconds.append(now - self._mark)
        self._mark = now

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the file."""
        if trainer.is_global_zero:
            self.file.write_text(json.dumps(self._seconds), encoding="utf-8")


def timed_stage(task: str, batch: int) -> dict[str, Any]:
    """The fields of the stage that is timed."""
    return {"name": "timed", "batch_size": batch, "epochs": 1000, "lr": 1e-4, **TASKS[task][0]}


def seconds_per_step(task: str, *, folder: Path, processes: int, threads: int, batch: int, steps: int) -> float:
    """Trains a sample recipe on this machine's CPU in separate processes.

    Args:
        task: name of the task.
        folder: receives the run.
        processes: number of ranks.
        threads: threads per rank.
        batch: images per step, over all ranks.
        steps: training steps, including warm-up.

    Returns:
        Median time of a step in seconds.

    Raises:
        RuntimeError: if the run failed.
    """
    file = folder / "seconds.json"
    flags = [
        *(
            "--task",
            task,
            "--stages",
            json.dumps([timed_stage(task, batch)]),
            "--runs",
            str(folder / "runs"),
            "--data.num_workers",
            "0",
        ),
        *("--trainer.accelerator", "cpu", "--trainer.devices", str(processes), "--trainer.max_steps", str(steps)),
        *("--trainer.limit_val_batches", "0", "--trainer.num_sanity_val_steps", "0"),
        *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
        *("--trust-config", "--trainer.callbacks+=experiments.benchmarks.throughput.StepTimer"),
        *(f"--trainer.callbacks.file={file}", *TASKS[task][1]),
    ]
    done = subprocess.run(
        [sys.executable, str(RUN), *flags],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{task} with {processes} processes ended with {done.returncode}:\n{done.stderr[-2000:]}")
    seconds = json.loads(file.read_text(encoding="utf-8"))
    if not seconds:
        raise RuntimeError(f"{task}: {steps} steps are too few to time one")
    return float(median(seconds))


def seconds_per_allreduce(processes: int, size: int, *, rounds: int = 10) -> float:
    """Measures gloo's all-reduce of ``size`` bytes of float32 over ``processes`` processes.

    Returns:
        Median time in seconds.

    Raises:
        RuntimeError: if a process failed.
    """
    port = str(find_free_network_port())
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _ALL_REDUCE, str(size // 4), str(rounds)]
    ranks = [
        subprocess.Popen(command, env=os.environ | group | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(processes)
    ]
    outputs = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        raise RuntimeError(f"{processes} processes failed to all-reduce {size} bytes")
    return float(median(json.loads(outputs[0])))


_ALL_REDUCE = """
import json, sys, time
import torch
import torch.distributed as dist
dist.init_process_group("gloo")
values, seconds = torch.ones(int(sys.argv[1])), []
for _ in range(int(sys.argv[2]) + 2):
    dist.barrier()
    start = time.perf_counter()
    dist.all_reduce(values)
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds[2:]))
dist.destroy_process_group()
"""
