"""Text files in a run's folder: the exact configuration, and the list of data files that were left out."""

import logging
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from callbacks.output_file import output_file
from lightning_modules.typed_trainer import typed

_log = logging.getLogger("darkroom")


class ConfigWriter(Callback):
    """Writes the run's configuration once all ranks have been set up.

    If the run folder is deleted during training, it is created again with a warning, and training continues.

    Args:
        path: the file.
        text: its content.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Writes the file on rank 0."""
        if stage == "fit" and trainer.is_global_zero and not typed(trainer).fast_dev_run:
            self._write()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Creates a deleted run folder again before other callbacks write to it."""
        self._restore_folder(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Creates a deleted run folder again before other callbacks write to it."""
        self._restore_folder(trainer)

    def _restore_folder(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero or typed(trainer).fast_dev_run or self.path.parent.exists():
            return
        _log.warning(
            "%s WAS REMOVED while the run was writing to it: the folder is created again, without its earlier files; "
            "log, figures and checkpoints start anew",
            self.path.parent,
        )
        self._write()

    def _write(self) -> None:
        with output_file(self.path) as file:
            file.write(self.text.encode())


class SkippedFilesWriter(Callback):
    """Lists the data files that were left out because they cannot be used.

    Args:
        path: the list; it does not exist if nothing was left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Writes the list on rank 0; the data have been checked by now."""
        if stage != "fit" or not trainer.is_global_zero or typed(trainer).fast_dev_run:
            return
        lines = [str(line) for line in typed(trainer).datamodule.skipped]
        if not lines:
            self.path.unlink(missing_ok=True)  # of an earlier start of this run, before the files were repaired
            return
        with output_file(self.path) as file:
            file.write("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
