"""Super-resolution through the real command line: runs, scores, start from other weights, bad input."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images.degradation import downscale
from experiments.cli.main import main
from lightning_modules.super_resolution import SuperResolutionModule
from models.super_resolution.upsampling import SubpixelUpsample
from tests.helpers.tiny_images import noise, save, save_images
from tests.helpers.tiny_segment import read_events

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
TASK = ["--task", "sr"]
DATA = ["--data.root=images", "--data.cache_dir=cache", "--data.num_workers=0", "--data.crops=1", "--data.val_size=24"]
NET = ["--model.net.width=8", "--model.net.blocks=1", "--model.lpips=none"]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
TWO = "{name: 2x, scale: 2, size: 12, batch_size: 4, epochs: 1, lr: 0.001}"
FOUR = "{name: 4x, scale: 4, size: 8, batch_size: 4, epochs: 1, lr: 0.001, frozen: 1}"


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of two stages, 2x and 4x."""
    folder = tmp_path_factory.mktemp("sr")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        save_images(folder / "images", 12, 100, 120)
        assert main([*TASK, *DATA, *NET, *QUIET, "--name=both", f"--stages=[{TWO}, {FOUR}]"]) == 0
        yield folder


def test_two_stages_from_2x_to_4x_log_images(trained: Path) -> None:
    run = trained / "runs/sr/both"
    events = read_events(run)
    scalars = set(events.Tags()["scalars"])
    assert {"val/psnr", "val/ssim", "val/bicubic_psnr", "val/bicubic_ssim", "val/loss", "train/loss"} <= scalars
    assert [event.value for event in events.Scalars("stage/index")][-1] == 2
    assert {"figures/validation_1", "figures/training_batch"} <= set(events.Tags()["images"])
    images = {path.name for path in (run / "figures").iterdir()}
    assert {"validation_1.png", "worst_1.png", "training_batch.png"} <= images
    first, last = (
        torch.load(run / f"checkpoints/stage-{number}.ckpt", weights_only=True)["state_dict"] for number in (1, 2)
    )
    assert first.keys() == last.keys()
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    assert any(name.startswith("net.upsampling.1") for name in moved)
    assert not any(name.startswith("net.blocks") for name in moved)  # frozen in the second stage


def test_lr_find_starts_from_icnr_in_any_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss at the lowest rate is that of a network whose last upsampling repeats each sample, as in fit."""
    started: list[bool] = []

    def record(module: SuperResolutionModule) -> None:
        layers = [layer for layer in module.modules() if isinstance(layer, SubpixelUpsample)]
        started.append(all(_repeats(layer.conv.weight) for layer in layers) and len(layers) == 2)
        assert module.net.active_scale == 4
        assert not module.net.blocks[0].conv1.weight.requires_grad

    monkeypatch.setattr(SuperResolutionModule, "on_train_start", record, raising=False)
    words = [*TASK, *DATA, *NET, *QUIET, "lr-find", "--name=rates", f"--stages=[{TWO}, {FOUR}]", "--stage=1"]
    assert main([*words, "--steps=12", "--sweep=linear", "--max_lr=0.01"]) == 0
    assert started == [True]
    with Image.open("runs/sr/rates/lr_find.png") as plot:
        assert plot.format == "PNG"


def _repeats(kernels: torch.Tensor) -> bool:
    groups = kernels.unflatten(0, (-1, 4))
    return bool((groups == groups[:, :1]).all())


def test_test_table_compares_with_bicubic(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TASK, "test", "--ckpt_path", "best"]) == 0
    told = capsys.readouterr().out
    assert "image" in told
    assert "bicubic" in told
    report = json.loads((trained / "runs/sr/both/test.json").read_text())
    (row,) = report["images"]
    assert report["scores"]["test/psnr"] == pytest.approx(row["psnr"], abs=1e-4)
    assert report["scores"]["test/bicubic_psnr"] == pytest.approx(row["bicubic_psnr"], abs=1e-4)
    assert 0 < row["target_blur"] <= report["scores"]["test/bicubic_blur"] <= 1


def test_benchmark_takes_pairs_and_images(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        high = noise(number, 48, 64)
        save(trained / f"bench/x4/p{number}_HR.png", high)
        save(trained / f"bench/x4/p{number}_LR.png", downscale(high, 4, "bicubic"))
        save(trained / f"plain/p{number}.png", noise(number, 50, 65))
    assert main([*TASK, "test", "--data.benchmark=bench"]) == 0
    told = capsys.readouterr().out
    assert "p0_HR.png" in told
    assert "p1_HR.png" in told
    assert "mean" in told
    for number in range(2):  # EDSR's layout; black LR images, which nothing can enlarge well
        save(trained / f"edsr/HR/p{number}.png", noise(number, 48, 64))
        save(trained / f"edsr/LR_bicubic/X4/p{number}x4.png", np.zeros((12, 16, 3), np.uint8))
        save(trained / f"edsr/LR_bicubic/X2/p{number}x2.png", noise(number, 24, 32))
    assert main([*TASK, "test", "--data.benchmark=edsr"]) == 0
    rows = json.loads((trained / "runs/sr/both/test.json").read_text())["images"]
    assert {row["name"] for row in rows} == {"HR/p0.png", "HR/p1.png"}
    assert max(row["bicubic_psnr"] for row in rows) < 15  # with LR images made from the HR ones it is far above
    capsys.readouterr()
    assert main([*TASK, "test", "--data.benchmark=plain", "--data.root=gone"]) == 0  # the root is not looked at
    assert "p0.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([f"--stages=[{TWO.replace('scale: 2', 'scale: 3')}]"], "stage '2x': scale must be 1, 2, 4, 8, ..., not 3"),
        ([f"--stages=[{TWO.replace('scale: 2', 'scale: 8')}]"], "more than the network's max_scale of 4"),
        ([f"--stages=[{TWO.replace('scale: 2, ', '')}]"], "stage '2x' names no scale"),
        (["--init_from=images/n0/p0.png"], "cannot be read as weights: it holds other objects than tensors"),
        (["--model.loss=models.losses.pixel.Nothing"], "models.losses.pixel.Nothing"),
        (["--data.crops=0"], "crops and val_size must be at least 1"),
    ],
)
def test_mistakes_are_one_line_before_the_first_step(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([*TASK, *DATA, *NET, *QUIET, "--name=never", *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("run.py: ")
    assert message in told


def test_benchmark_with_wrong_sizes_is_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(trained / "misfit/a_HR.png", noise(1, 48, 64))
    save(trained / "misfit/a_LR.png", noise(1, 24, 32))
    save(trained / "misfit/b_HR.png", noise(1, 48, 64))
    assert main([*TASK, "test", "--data.benchmark=misfit"]) == 2
    told = capsys.readouterr().err
    assert "a_HR.png: pair that does not fit the scale (64 x 48, and a_LR.png is 32 x 24, not 16 x 12)" in told
    assert "b_HR.png: image without its LR" in told
    save(trained / "misfit/a_LR.png", noise(1, 12, 16))
    save(trained / "misfit/b_HR.png", noise(1, 18, 64))
    save(trained / "misfit/b_LR.png", noise(1, 4, 16))
    assert main([*TASK, "test", "--data.benchmark=misfit"]) == 2
    told = capsys.readouterr().err
    assert "1 problem(s)" in told
    assert "b_HR.png: image too small for SSIM (64 x 18; each side needs 19)" in told
    save(trained / "small/a.png", noise(1, 64, 18))
    assert main([*TASK, "test", "--data.benchmark=small"]) == 2
    assert "a.png: image too small for SSIM (18 x 64; each side needs 19)" in capsys.readouterr().err
    save(trained / "other/x2/a_HR.png", noise(1, 48, 64))
    assert main([*TASK, "test", "--data.benchmark=other"]) == 2
    assert "has images for x2 and none for x4" in capsys.readouterr().err
    save(trained / "edsr2/HR/a.png", noise(1, 48, 64))
    save(trained / "edsr2/LR_bicubic/X2/ax2.png", noise(1, 24, 32))
    assert main([*TASK, "test", "--data.benchmark=edsr2"]) == 2
    assert "LR_bicubic has images for X2 and none for X4" in capsys.readouterr().err
    assert main([*TASK, "test", "--data.benchmark=nowhere"]) == 2
    assert "--data.benchmark nowhere is not a folder" in capsys.readouterr().err


def test_init_from_prints_which_tensors_were_loaded(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = torch.load(trained / "runs/sr/both/checkpoints/stage-1.ckpt", weights_only=True)
    others = {name.replace("net.", "module."): value for name, value in checkpoint["state_dict"].items()}
    del others["module.upsampling.1.conv.weight"], others["module.upsampling.1.conv.bias"]
    others["module.extra"] = torch.zeros(2)
    torch.save({"params": others}, trained / "foreign.pth")
    words = ["--init_from=foreign.pth", "--name=moved", f"--stages=[{TWO.replace('0.001', '1e-12')}]"]
    assert main([*TASK, *DATA, *NET, *QUIET, *words]) == 0
    told = capsys.readouterr().out
    assert "kept as initialized: 2 tensors\n  upsampling.1.conv.weight 32 x 8 x 3 x 3" in told
    assert "extra: the net has no such tensor" in told
    moved = torch.load(trained / "runs/sr/moved/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name, value in checkpoint["state_dict"].items():
        if "upsampling.1" not in name:
            torch.testing.assert_close(moved[name], value, rtol=0, atol=1e-6)
    fresh = moved["net.upsampling.1.conv.weight"]  # ICNR: four channels in a row share one kernel
    torch.testing.assert_close(fresh[0::4], fresh[1::4], rtol=0, atol=1e-6)
    kept = moved["net.upsampling.0.conv.weight"]
    assert not torch.equal(kept[0::4], kept[1::4])


def test_saved_figures_are_images(trained: Path) -> None:
    with Image.open(trained / "runs/sr/both/figures/validation_1.png") as image:
        assert image.size[0] == 972


def test_show_draws_pairs_of_every_stage_and_best_and_worst(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main([*TASK, *QUIET, "show", "--ckpt_path", "best", "--name", "both", "--out", "drawn", "--data.val_share=0.2"])
        == 0
    )
    assert {path.name for path in Path("drawn").iterdir()} == {
        "batch-1-2x.png", "batch-2-4x.png", "best.png", "worst.png"
    }  # fmt: skip
    told = capsys.readouterr().out
    (mean,) = re.findall(r"each at 8 px; mean of all 2: PSNR ([\d.]+) dB", told)
    scores = [float(found) for found in re.findall(r"^  PSNR ([\d.]+) dB  n\d/p\d+\.png$", told, flags=re.MULTILINE)]
    assert sum(scores) / 2 == pytest.approx(float(mean), abs=0.011)


def test_resumed_run_equals_the_uninterrupted_run(trained: Path) -> None:
    whole = [*TASK, *DATA, *NET, *QUIET, f"--stages=[{TWO}, {FOUR}]"]
    assert main([*whole, "--name=whole"]) == 0
    with pytest.warns(UserWarning, match="ends the run before its stages do"):
        assert main([*whole, "--name=cut", "--trainer.max_epochs=1"]) == 0  # on the boundary of the stages
    assert main([*TASK, "--resume", "runs/sr/cut", "--trainer.max_epochs=2"]) == 0
    first, second = (
        torch.load(trained / f"runs/sr/{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "cut")
    )
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)
