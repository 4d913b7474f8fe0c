"""``--data.timeout`` limits the loaders of ``predict`` as well."""

from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from datamodules.prediction.datamodule import PredictDataModule
from experiments.cli.main import main
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint, style_checkpoint
from tests.helpers.tiny_images import noise, save

CHECKPOINTS = {"segment": segment_checkpoint, "sr": sr_checkpoint, "style": style_checkpoint}


@pytest.mark.parametrize("task", CHECKPOINTS)
def test_option_reaches_the_loader(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CHECKPOINTS[task](Path("net.ckpt"))
    save(Path("a.png"), noise(0))
    seen: list[float] = []
    original = PredictDataModule.predict_dataloader

    def record(self: PredictDataModule) -> DataLoader[object]:
        loader = original(self)
        seen.append(loader.timeout)
        return loader

    monkeypatch.setattr(PredictDataModule, "predict_dataloader", record)
    words = ["--trainer.accelerator=cpu", "--data.num_workers=1", "--data.timeout=77"]
    assert main(["--task", task, "predict", "a.png", "--ckpt_path=net.ckpt", "--out=out", *words]) == 0
    assert seen == [77]
