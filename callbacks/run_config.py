"""The exact configuration of a run, kept in its folder."""

from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from callbacks.whole_file import whole_file


class RunConfig(Callback):
    """Writes the configuration when all processes have met, so that none of them sees a folder another has begun.

    Args:
        path: where to.
        text: what.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Writes the file, once, on the first process."""
        if stage == "fit" and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            with whole_file(self.path) as file:
                file.write(self.text.encode())
