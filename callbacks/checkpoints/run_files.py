"""What a run's folder says of it in plain text: the exact configuration, and which files were left out."""

import logging
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from callbacks.atomic_file import whole_file
from lightning_modules.typed_trainer import typed

_log = logging.getLogger("darkroom")


class RunConfig(Callback):
    """Writes the configuration when all processes have met, so that none of them sees a folder another has begun.

    A folder that is removed while the run writes to it is made again: a night's work is worth more than what somebody
    may have meant by that.

    Args:
        path: where to.
        text: what.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Writes the file, once, on the first process."""
        if stage == "fit" and trainer.is_global_zero and not typed(trainer).fast_dev_run:
            self._write()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks whether the folder is still there, before anything else is written to it."""
        self._make_again(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Likewise."""
        self._make_again(trainer)

    def _make_again(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero or typed(trainer).fast_dev_run or self.path.parent.exists():
            return
        _log.warning(
            "%s WAS REMOVED while the run was writing to it: it is made again, without what it held; log, figures and "
            "checkpoints begin anew",
            self.path.parent,
        )
        self._write()

    def _write(self) -> None:
        with whole_file(self.path) as file:
            file.write(self.text.encode())


class SkippedFiles(Callback):
    """Lists the files that the data module left out because they cannot be used.

    Args:
        path: where to; not there where nothing was left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Writes the list, once, on the first process, when the data were looked at."""
        if stage != "fit" or not trainer.is_global_zero or typed(trainer).fast_dev_run:
            return
        data = typed(trainer).datamodule
        lines = [str(line) for line in data.skipped]
        if not lines:
            self.path.unlink(missing_ok=True)  # of the same run, before the files were mended
            return
        with whole_file(self.path) as file:
            file.write("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
