"""Overfitting on the same batches, and evaluation on every image of a folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from datamodules.errors import DataError
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from experiments.cli.main import main
from tests.helpers.tiny_images import carvana, folders
from tests.helpers.tiny_run import TinyRuns
from tests.helpers.tiny_task import STAGES, TinyData, tiny_task, tiny_trainer


class SeenImages(Callback):
    """Keeps the images of every training batch."""

    def __init__(self) -> None:
        self.images: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.images.append(batch["image"].clone())


def test_overfit_batches_repeats_the_same_images_in_every_epoch(tmp_path: Path) -> None:
    seen = SeenImages()
    trainer = tiny_trainer(tmp_path, stages=STAGES[:1], extra=[seen], overfit_batches=1, max_epochs=2)
    trainer.fit(tiny_task(), datamodule=TinyData(num_workers=0))
    first, second = seen.images
    assert torch.equal(first, second)


def test_a_checkpoint_is_tested_on_every_image_of_another_folder(tiny: TinyRuns) -> None:
    assert tiny.run() == 0
    carvana(tiny.place / "other", cars=3)
    assert tiny.run("test", "--data.root=other", "--data.val_share=1.0") == 0
    images = json.loads((tiny.folder() / "test.json").read_text(encoding="utf-8"))["images"]
    assert sorted(row["name"] for row in images) == [
        f"train/car{car}_0{view}.jpg" for car in range(3) for view in (1, 2)
    ]


def test_show_draws_the_images_of_a_folder_that_is_held_out(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 0
    carvana(tiny.place / "other", cars=3)
    words = ("--ckpt_path=best", "--data.root=other", "--data.val_share=1.0", "--out=shown")
    assert tiny.run("show", *words) == 0
    assert "no batches are drawn, since all images are held out" in capsys.readouterr().out
    assert sorted(file.name for file in (tiny.place / "shown").iterdir()) == ["best.png", "worst.png"]


def test_a_checkpoint_is_tested_on_data_of_another_layout(tiny: TinyRuns) -> None:
    """The folders of Carvana's layout are not looked for in the new one."""
    assert tiny.run() == 0
    folders(tiny.place / "mine", count=4)
    words = ["--data.class_path=FolderDataModule", "--data.root=mine", "--data.classes=[car]", "--data.num_workers=0"]
    words += ["--data.cache_dir=cache"]
    assert main(["--task", "segment", "test", "--name=sample", *words]) == 0
    images = json.loads((tiny.folder() / "test.json").read_text(encoding="utf-8"))["images"]
    assert {row["name"].partition("/")[0] for row in images} == {"images"}


def test_a_folder_that_is_held_out_as_a_whole_is_not_trained_on(tmp_path: Path) -> None:
    data = FolderDataModule(root=folders(tmp_path / "d", count=1), val_share=1.0, cache_dir=tmp_path, num_workers=0)
    stage = Stage(name="s", size=16, batch_size=1, epochs=1, lr=0.1)
    data.set_stage(stage)
    assert len(data.val_dataloader().dataset) == len(data.test_dataloader().dataset) == 1  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"data\.val_share 1 is for validate and test only"):
        data.train_dataloader()
