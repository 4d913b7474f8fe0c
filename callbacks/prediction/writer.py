"""Writes the files of predictions in background threads while the network processes the next images."""

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

import numpy as np
from lightning import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from callbacks.output_file import output_file
from datamodules.batches import PredictBatch
from datamodules.errors import DataError
from datamodules.io.atomic_file import temporary
from models.gather import gather_objects

_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """The image that a prediction was made for.

    Args:
        name: relative name of its results, with ``/`` as separator and without a suffix.
        path: the file, as the user named it.
        size: height and width in pixels, as displayed.
        pixels: (H, W, 3) RGB as displayed; ``None`` if the data module does not keep them.
    """

    name: str
    path: str
    size: tuple[int, int]
    pixels: NDArray[np.uint8] | None


class ResultFiles(Protocol):
    """Writes the files of one image. Each task has its own class; it is called from several threads at once."""

    def write(self, prediction: NDArray[Any], image: SourceImage) -> str | None:
        """Writes the files of one image.

        Args:
            prediction: (C, H, W), the output of ``predict_step``.
            image: the image.

        Returns:
            The line of the image in the table of all images, without line end; ``None`` if there is no table.

        Raises:
            DataError: if the image cannot be read again.
        """
        ...

    def paths(self, name: str) -> list[Path]:
        """The files that are written for the image ``name``."""
        ...

    def describe(self) -> list[str]:
        """One line per kind of file, for the user."""
        ...


#: Writes a file of all images: gets a function that reads their lines from the first one on, and the open file.
Join = Callable[[Callable[[], Iterable[bytes]], BinaryIO], None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A text file that is made of one line per image.

    Args:
        path: the file.
        header: its first line, if it consists of the lines.
        join: writes the file in another form.
    """

    path: Path
    header: str = ""
    join: Join | None = None


class PredictionWriter(Callback):
    """Writes the predictions of each rank in threads and gathers the counts of all ranks.

    Attributes:
        written: number of images whose files were written, on all ranks.
        problems: one message per image that could not be read, on all ranks, in the order of the images.

    Args:
        files: writes the files of one image.
        table: the text file that collects the lines of ``files``, in the order in which the images were listed,
            for any number of ranks.
        progress: whether rank 0 shows a bar that counts its images as their files are written.
        queue_size: how many predictions may wait to be written; each is in memory.
    """

    def __init__(
        self,
        *,
        files: ResultFiles,
        table: Table | None = None,
        progress: bool = False,
        queue_size: int = 2 * _THREADS,
    ) -> None:
        self.files, self.table, self.progress, self.queue_size = files, table, progress, queue_size
        self.written = 0
        self.problems: list[str] = []
        self._failed: list[tuple[int, str]] = []
        self._pending: deque[tuple[int, Future[str | None]]] = deque()
        self._open = ExitStack()
        self._pool: ThreadPoolExecutor | None = None
        self._part: TextIO | None = None
        self._bar: tqdm[Any] = tqdm(disable=True)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts the part of the table of this rank; a rank without images leaves it empty."""
        self._open = ExitStack()
        if self.table is not None:
            self.table.path.parent.mkdir(parents=True, exist_ok=True)
            part = _part(self.table.path, trainer.global_rank)
            self._open.enter_context(temporary(part))
            self._part = self._open.enter_context(
                part.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            )

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
        """Passes the images of the batch to the threads; waits if the queue is full."""
        outputs = outputs.detach().float() if outputs.is_floating_point() else outputs
        predictions = outputs.cpu().numpy()
        for place, prediction in enumerate(predictions):
            index, problem = batch["index"][place], batch["problem"][place]
            if problem:
                self._failed.append((index, problem))
                self._bar.update()
                continue
            image = SourceImage(
                name=batch["name"][place],
                path=batch["path"][place],
                size=batch["size"][place],
                pixels=batch["original"][place],
            )
            self._submit(index, prediction, image)

    def _submit(self, index: int, prediction: NDArray[Any], image: SourceImage) -> None:
        if self._pool is None:
            raise RuntimeError("on_predict_start must be called before the first batch")
        self._pending.append((index, self._pool.submit(self.files.write, prediction, image)))
        while len(self._pending) > self.queue_size:
            self._finish_one()

    def _finish_one(self) -> None:
        index, future = self._pending.popleft()
        self._bar.update()
        try:
            line = future.result()
        except DataError as error:  # the file was read once, and has changed or was removed since
            self._failed.append((index, str(error)))
            return
        if self._part is not None and line is not None:
            self._part.write(f"{index},{line}\n")
        self.written += 1

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits until all files are written."""
        while self._pending:
            self._finish_one()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gathers counts and problems, and joins the table.

        Not at the end of the epoch: a rank without images has no epoch, and the others would wait for it.
        """
        if self._part is not None:
            self._part.flush()
        shares = gather_objects((self.written, self._failed))  # also waits until every part of the table is complete
        self.written = sum(written for written, _ in shares)
        self.problems = [problem for _, problem in sorted(one for _, failed in shares for one in failed)]
        if self.table is not None and trainer.is_global_zero:
            _join(self.table, trainer.world_size)
        trainer.strategy.barrier()  # no rank removes its part before it was read
        self._open.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Cancels what is not written yet; files under their final name are complete."""
        for _, future in self._pending:
            future.cancel()
        self._pending.clear()
        self._open.close()


def _part(target: Path, rank: int) -> Path:
    return target.with_name(f".{target.name}.{rank}.part")


def _join(table: Table, world: int) -> None:
    """Merges the sorted parts of the ranks line by line, since a table may not fit in memory."""

    def lines() -> Iterator[bytes]:
        with ExitStack() as stack:
            shares = [stack.enter_context(_part(table.path, rank).open("rb")) for rank in range(world)]
            for line in heapq.merge(*shares, key=_index):
                yield line.split(b",", 1)[1]

    with output_file(table.path) as target:
        if table.join is not None:
            table.join(lines, target)
            return
        target.write(f"{table.header}\n".encode())
        for line in lines():
            target.write(line)


def _index(line: bytes) -> int:
    return int(line.split(b",", 1)[0])
