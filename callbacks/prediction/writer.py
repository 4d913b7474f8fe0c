"""Takes predictions off the trainer's hands and has their files written while the net works on."""

import heapq
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
from lightning import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from callbacks.output_file import output_file
from datamodules.batches import PredictBatch
from models.gather import gather_objects

_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is known of an image when its results are written.

    Args:
        name: relative name for results, with ``/``, without a suffix.
        path: the file, as the user named it.
        size: height and width in pixels, as displayed.
        pixels: (H, W, 3) RGB as displayed; ``None`` where the data module was told not to keep it.
    """

    name: str
    path: str
    size: tuple[int, int]
    pixels: NDArray[np.uint8] | None


class ResultFiles(Protocol):
    """Writes the files of one image; each task has its own. Called from several threads at once."""

    def write(self, prediction: NDArray[Any], image: Source) -> str | None:
        """Writes them.

        Args:
            prediction: (C, H, W), what the net said of the image.
            image: the image itself.

        Returns:
            The image's line in the table of all images, without line end; ``None`` if there is no table.
        """
        ...

    def paths(self, name: str) -> list[Path]:
        """The files of the image whose results are called ``name``."""
        ...

    def described(self) -> list[str]:
        """A line for each kind of file, for a person."""
        ...


@dataclass(frozen=True, kw_only=True)
class Table:
    """One text file over all images, with a line for each.

    Args:
        path: the file.
        header: its first line.
    """

    path: Path
    header: str


class PredictionWriter(Callback):
    """Writes each process' predictions in threads, in order, and gathers what happened.

    Afterwards ``written`` and ``problems`` hold the figures of all processes, on all of them.

    Args:
        files: writes the files of one image.
        table: the text file that collects the lines of ``files``; images stand in it in the order they were
            listed, whatever the number of processes.
        progress: whether the first process shows a bar that counts its images as their files are written.
        waiting: how many predictions may wait to be written; each is in memory.
    """

    def __init__(
        self,
        *,
        files: ResultFiles,
        table: Table | None = None,
        progress: bool = False,
        waiting: int = 2 * _THREADS,
    ) -> None:
        self.files, self.table, self.progress, self.waiting = files, table, progress, waiting
        self.written = 0
        self.problems: list[str] = []
        self._failed: list[tuple[int, str]] = []
        self._pending: deque[tuple[int, Future[str | None]]] = deque()
        self._open = ExitStack()
        self._pool: ThreadPoolExecutor | None = None
        self._part: TextIO | None = None
        self._bar: tqdm[Any] = tqdm(disable=True)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts this process' share of the table; that of a process without images stays empty."""
        self._open = ExitStack()
        if self.table is not None:
            self.table.path.parent.mkdir(parents=True, exist_ok=True)
            part = _part(self.table.path, trainer.global_rank)
            self._open.callback(part.unlink, missing_ok=True)
            self._part = self._open.enter_context(part.open("w", encoding="utf-8", newline=""))

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the threads."""
        self._pool = self._open.enter_context(ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)))
        loader: Any = trainer.predict_dataloaders
        mine = -(-len(loader.dataset) // trainer.world_size)
        bar = tqdm(total=mine, desc="images", unit="", disable=not (self.progress and trainer.is_global_zero))
        self._bar = self._open.enter_context(bar)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor,
        batch: PredictBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hands the batch's images to the threads, and waits while more than a few are unfinished."""
        outputs = outputs.detach().float() if outputs.is_floating_point() else outputs
        predictions = outputs.cpu().numpy()
        for place, prediction in enumerate(predictions):
            index, problem = batch["index"][place], batch["problem"][place]
            if problem:
                self._failed.append((index, problem))
                self._bar.update()
                continue
            image = Source(
                name=batch["name"][place],
                path=batch["path"][place],
                size=batch["size"][place],
                pixels=batch["original"][place],
            )
            self._submit(index, prediction, image)

    def _submit(self, index: int, prediction: NDArray[Any], image: Source) -> None:
        if self._pool is None:
            raise RuntimeError("on_predict_start has to come before the first batch")
        self._pending.append((index, self._pool.submit(self.files.write, prediction, image)))
        while len(self._pending) > self.waiting:
            self._finish_one()

    def _finish_one(self) -> None:
        index, future = self._pending.popleft()
        line = future.result()
        if self._part is not None and line is not None:
            self._part.write(f"{index},{line}\n")
        self.written += 1
        self._bar.update()

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits for the last files."""
        while self._pending:
            self._finish_one()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gathers figures and problems, joins the table.

        Not at the end of the epoch: a process without images has none, and the others would wait for it.
        """
        if self._part is not None:
            self._part.flush()
        shares = gather_objects((self.written, self._failed))  # also waits until every share of the table is there
        self.written = sum(written for written, _ in shares)
        self.problems = [problem for _, problem in sorted(one for _, failed in shares for one in failed)]
        if self.table is not None and trainer.is_global_zero:
            _join(self.table, trainer.world_size)
        trainer.strategy.barrier()  # nobody takes its share away before it was read
        self._open.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives up what is unfinished; files that have their name are whole."""
        for _, future in self._pending:
            future.cancel()
        self._pending.clear()
        self._open.close()


def _part(target: Path, rank: int) -> Path:
    return target.with_name(f".{target.name}.{rank}.part")


def _join(table: Table, world: int) -> None:
    """Merges the processes' shares, each in rising order already, line by line: a table can outgrow the memory."""
    with ExitStack() as stack, output_file(table.path) as target:
        shares = [stack.enter_context(_part(table.path, rank).open(encoding="utf-8")) for rank in range(world)]
        target.write(f"{table.header}\n".encode())
        for line in heapq.merge(*shares, key=_place):
            target.write(line.split(",", 1)[1].encode())


def _place(line: str) -> int:
    return int(line.split(",", 1)[0])
