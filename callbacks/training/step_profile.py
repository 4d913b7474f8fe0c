"""Profiles some steps of a run: a trace for Perfetto, and the most expensive operations."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch.profiler import ProfilerActivity, profile

from callbacks.output_file import output_path

#: Steps before the profile, in which memory and kernels are set up, and steps that are profiled.
WARM_UP, STEPS = 5, 5
_LINES = 10


class StepProfile(Callback):
    """Profiles the steps 6 to 10 with torch's profiler, writes a trace and prints the ten most expensive operations.

    The steps are whole: data, forward, backward, optimizer and callbacks. Only rank 0 is profiled. A run of fewer steps
    profiles those it has after the first five.

    Args:
        file: of the trace, JSON; open it at https://ui.perfetto.dev.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._profiler: profile | None = None
        self._seen = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Starts the profile after the steps of the warm-up and ends it after the last one."""
        self._seen += 1
        if self._seen == WARM_UP and trainer.is_global_zero:
            cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
            self._profiler = profile(activities=[ProfilerActivity.CPU, *cuda])
            self._profiler.start()
        elif self._seen == WARM_UP + STEPS:
            self._finish()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends the profile of a short run."""
        self._finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stops the profiler without a result."""
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None

    def _finish(self) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is None:
            return
        profiler.stop()
        with output_path(self.file) as partial:
            profiler.export_chrome_trace(str(partial))
        print("\n".join(most_expensive(profiler)))
        print(f"profile of the steps {WARM_UP + 1} to {self._seen}: {self.file}, open it at https://ui.perfetto.dev")


def most_expensive(profiler: profile) -> list[str]:
    """Formats the ten operations with the largest time of their own, on the GPU if it was profiled."""
    events = profiler.key_averages()
    on_gpu = any(event.self_device_time_total > 0 for event in events)
    times = {
        event.key: (event.self_device_time_total if on_gpu else event.self_cpu_time_total, event.count)
        for event in events
    }
    total = sum(time for time, _ in times.values()) or 1
    lines = [f"{'operation':48}{'ms':>10}{'share':>8}{'calls':>8}"]
    for name, (time, calls) in sorted(times.items(), key=lambda item: -item[1][0])[:_LINES]:
        lines.append(f"{name[:46]:48}{time / 1e3:10.2f}{time / total:8.1%}{calls:8}")
    return lines
