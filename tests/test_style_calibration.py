"""Style and normalization are set before weights are copied or restored, and are the same after a resume."""

import os
from pathlib import Path

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor

from callbacks.training.style_calibration import StyleCalibration, calibration_lines
from datamodules.stage import Stage
from lightning_modules.style import StyleModule
from models.losses.style import StyleLoss
from tests.helpers.ranks import on_ranks
from tests.helpers.tiny_style import GrayData, Halving
from tests.helpers.tiny_task import TinyData, TinyNet, TinyTask, tiny_trainer

STAGE = Stage(name="noise", size=16, batch_size=2, epochs=1, lr=1e-3)


def noise(seed: int, *size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


class NoiseData(GrayData):
    """Gray training images, and noise for calibration and style."""

    painting = 1

    def styles(self) -> list[Tensor]:
        return [noise(self.painting, 3, 20, 24)]

    def calibration_images(self, count: int) -> Tensor:
        return noise(2, count, 3, 16, 16)


def task(**options: object) -> tuple[StyleModule, NoiseData]:
    loss = StyleLoss(name="vgg11", layers=(1, 4), layer_weights=(0.5, 0.5), weights="none", **options)  # type: ignore[arg-type]
    data = NoiseData(num_workers=0)
    data.set_stage(STAGE)
    return StyleModule(net=Halving(), loss=loss), data


def fit(module: StyleModule, data: NoiseData, folder: Path, *extra: Callback, ckpt_path: Path | None = None) -> None:
    trainer = tiny_trainer(folder, stages=[STAGE], extra=extra)
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)


def test_normalization_is_measured_on_the_given_images_and_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module, data = task(tv_weight=0.5)
    fit(module, data, tmp_path, StyleCalibration(count=3))
    expected = task(tv_weight=0.5)[0].loss
    expected.set_styles(data.styles())
    units = expected.calibrate(data.calibration_images(3))
    assert dict(zip(units, module.loss.units.tolist(), strict=True)) == units
    assert torch.equal(module.loss.get_buffer("gram_4"), expected.get_buffer("gram_4"))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "style loss, parts are in units of untouched images; features: random weights"
    rows = {line.split()[0]: line.split()[1:] for line in printed[1:]}
    assert rows["content"][2] == "0"
    assert rows["style_4"] == ["0.5", f"{units['style_4']:.4g}", "0.5"]
    assert rows["loss"] == ["1.5"]  # two styles of 0.5, and 0.5 for total variation


def test_table_of_unnormalized_parts_is_labeled() -> None:
    module, data = task(balance=False, style_weight=100.0)
    module.loss.set_styles(data.styles())
    units = module.loss.calibrate(data.calibration_images(2))
    lines = calibration_lines(module.loss)
    assert "parts are not balanced" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["content", "style_1", "style_4", "loss"]
    assert float(lines[3].split()[3]) == pytest.approx(50 * units["style_1"], rel=1e-3)
    assert float(lines[5].split()[1]) == pytest.approx(50 * (units["style_1"] + units["style_4"]), rel=1e-3)


def test_resume_keeps_the_normalization_and_a_new_run_measures_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module, data = task()
    fit(module, data, tmp_path, StyleCalibration(count=3))
    ran = {name: value.clone() for name, value in module.state_dict().items()}
    capsys.readouterr()
    resumed, other = task()
    other.painting = 5  # the file has changed since
    fit(resumed, other, tmp_path, StyleCalibration(count=2), ckpt_path=tmp_path / "last.ckpt")
    assert all(torch.equal(value, ran[name]) for name, value in resumed.state_dict().items())
    assert "untouched" not in capsys.readouterr().out
    started, _ = task()
    started.load_state_dict(ran)  # --init_from
    fit(started, other, tmp_path / "new", StyleCalibration(count=3))
    assert not torch.equal(started.loss.get_buffer("gram_4"), ran["loss.gram_4"])
    assert not torch.equal(started.loss.units, ran["loss.units"])


def test_averaged_weights_use_the_same_loss_before_averaging_starts(tmp_path: Path) -> None:
    """Averaged weights are copied with all buffers in their own setup, and validated before they are renewed."""
    module, data = task()
    average = EMAWeightAveraging(decay=0.9, update_starting_at_step=10**6)
    fit(module, data, tmp_path, StyleCalibration(count=3), average)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    expected = task()[0].loss
    expected.set_styles(data.styles())
    expected.calibrate(data.calibration_images(3))
    assert torch.equal(saved["loss.gram_4"], expected.get_buffer("gram_4"))
    assert torch.equal(saved["loss.units"], expected.units)


class Look(Callback):
    """Records the buffers before DDP synchronizes the ranks."""

    seen: dict[str, Tensor]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.seen = {name: value.clone() for name, value in pl_module.state_dict().items() if name.startswith("loss.")}


def looked_at(folder: Path) -> dict[str, Tensor]:
    """Rank 1 has a different style image, as an exaggerated rounding difference."""
    module, data = task()
    data.painting += int(os.environ["LOCAL_RANK"])
    look = Look()
    trainer = tiny_trainer(folder, stages=[STAGE], extra=[StyleCalibration(count=3), look], devices=2)
    trainer.fit(module, datamodule=data)
    return look.seen


def test_two_ranks_share_style_and_normalization(tmp_path: Path) -> None:
    first, second = on_ranks(2, looked_at, tmp_path)
    assert set(first) == {"loss.gram_1", "loss.gram_4", "loss.gram_color", "loss.style_origin", "loss.units"}
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    expected = task()[0].loss
    expected.set_style(noise(NoiseData.painting, 3, 20, 24))
    assert torch.equal(first["loss.gram_4"], expected.get_buffer("gram_4"))


def test_calibration_failures_are_reported(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="StyleCalibration found no StyleLoss in TinyTask"):
        StyleCalibration().setup(tiny_trainer(tmp_path), TinyTask(net=TinyNet()), "fit")
    module, _ = task()
    trainer = tiny_trainer(tmp_path, stages=[STAGE], extra=[StyleCalibration()])
    with pytest.raises(TypeError, match=r"TinyData needs styles\(\) and calibration_images"):
        trainer.fit(module, datamodule=TinyData(num_workers=0))


def test_nothing_happens_outside_fit(tmp_path: Path) -> None:
    module, _ = task()
    StyleCalibration().setup(tiny_trainer(tmp_path), module, "validate")
    assert not module.loss.has_style
