"""The real command line on a tiny network and tiny images."""

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from torch import Tensor

from experiments.cli.main import main
from lightning_modules.segmentation import SegmentationModule
from tests.helpers import tiny_images
from tests.helpers.tiny_segment import DiscNet

STAGES = [
    {"name": "small", "size": 32, "batch_size": 4, "epochs": 1, "lr": 1e-2, "frozen": "encoder"},
    {"name": "large", "size": 48, "batch_size": 2, "epochs": 1, "lr": 1e-2},
]
QUIET = (
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.num_sanity_val_steps=0",
)


class PretrainedNet(DiscNet):
    """Records its argument ``pretrained``."""

    asked: ClassVar[list[str]] = []

    def __init__(self, *, pretrained: str = "none") -> None:
        super().__init__()
        self.asked.append(pretrained)


class TinyRuns:
    """A working directory with images and a configuration, and the command lines that use it.

    Args:
        place: an empty folder, the working directory.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.config = place / "tiny.yaml"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "model": {"net": {"class_path": "tests.helpers.tiny_segment.DiscNet"}},
                    "data": {
                        "class_path": "datamodules.CarvanaDataModule",
                        "init_args": {
                            "root": str(tiny_images.carvana(place / "cars")),
                            "num_workers": 0,
                            "cache_dir": str(place / "cache"),
                        },
                    },
                    "stages": STAGES,
                    "trainer": {"accelerator": "cpu", "devices": 1},
                }
            ),
            encoding="utf-8",
        )

    def words(self, *words: str) -> list[str]:
        """The command line of a run with the tiny configuration."""
        return ["--task", "segment", "--config", str(self.config), *words, *QUIET]

    def run(self, *words: str) -> int:
        """Runs it and returns the exit code."""
        return main(self.words(*words))

    def folder(self, name: str = "sample") -> Path:
        """A run's folder."""
        return self.place / "runs" / "segment" / name


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the process send itself SIGTERM in the training step after ``step`` steps."""
    train = SegmentationModule.training_step

    def interrupted(self: SegmentationModule, batch: Any) -> Tensor:
        if self.trainer.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self, batch)

    monkeypatch.setattr(SegmentationModule, "training_step", interrupted)
