"""Times training steps of real runs, for the benchmarks that compare numbers of processes and threads."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from lightning import Callback, LightningModule, Trainer

RUN = Path(__file__).parents[1] / "run.py"
#: Each task's sample recipe in one stage without an end; weights need not be downloaded to be timed.
TASKS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "segment": ({"size": 128}, ("--model.net.pretrained", "none")),
    "sr": ({"size": 40, "scale": 2}, ()),
    "style": ({"size": 128}, ("--model.loss.weights", "none")),
}


class StepTimer(Callback):
    """Writes down how long each step took, from the end of the one before to its own.

    Args:
        file: where process 0 leaves them as JSON, in seconds.
        skip: steps at the start that do not count: they allocate memory.
    """

    def __init__(self, file: Path, skip: int = 3) -> None:
        self.file, self.skip = file, skip
        self._seconds: list[float] = []
        self._mark: float | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forgets the end of the step before: an epoch's end saves and draws."""
        self._mark = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Reads the clock."""
        now = time.perf_counter()
        if self._mark is not None and trainer.global_step > self.skip:
            self._seconds.append(now - self._mark)
        self._mark = now

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes them."""
        if trainer.is_global_zero:
            self.file.write_text(json.dumps(self._seconds), encoding="utf-8")


def timed_stage(task: str, batch: int) -> dict[str, Any]:
    """The stage that is timed."""
    return {"name": "timed", "batch_size": batch, "epochs": 1000, "lr": 1e-4, **TASKS[task][0]}


def seconds_a_step(task: str, *, folder: Path, processes: int, threads: int, batch: int, steps: int) -> float:
    """Trains ``steps`` steps on this machine's processor in processes of their own.

    Args:
        task: whose sample recipe.
        folder: for the run, which is left there.
        processes: how many share each step.
        threads: of each process.
        batch: images a step, of all processes together.
        steps: the first ones do not count.

    Returns:
        Median time of a step in seconds.

    Raises:
        RuntimeError: if the run failed.
    """
    file = folder / "seconds.json"
    words = [
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
        [sys.executable, str(RUN), *words],
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


def seconds_an_exchange(processes: int, size: int, *, rounds: int = 10) -> float:
    """Times gloo's sum of ``size`` bytes of float32 over ``processes`` processes that do nothing else.

    Returns:
        Median time in seconds.

    Raises:
        RuntimeError: if a process failed.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _EXCHANGE, str(size // 4), str(rounds)]
    ranks = [
        subprocess.Popen(command, env=os.environ | place | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(processes)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        raise RuntimeError(f"{processes} processes could not exchange {size} bytes")
    return float(median(json.loads(said[0])))


_EXCHANGE = """
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
