"""Networks that ship: their cards, ``nets``, ``--net``, ``--init_from NAME``, and ``predict`` without a run."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import experiments as darkroom
from callbacks.errors import CheckpointError
from experiments import networks
from experiments.cli.main import main
from experiments.networks import list_networks
from experiments.runs.checkpoint import load_checkpoint
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint
from tests.helpers.tiny_images import noise, save, save_images

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
CARD = {"data": "noise", "license": "MIT", "command": "none", "time": "0 s on nothing"}
CPU = "--trainer.accelerator=cpu"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two networks of super-resolution and one of segmentation, in place of those that ship."""
    folder = tmp_path / "networks"
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(networks, "FOLDER", folder)
    for name, checkpoint in {
        "tiny-2x": sr_checkpoint(tmp_path / "tiny-2x.ckpt"),
        "tiny-4x": sr_checkpoint(tmp_path / "tiny-4x.ckpt", scale=4),
        "tiny-car": segment_checkpoint(tmp_path / "tiny-car.ckpt"),
    }.items():
        task, scale = ("segment", 1) if name == "tiny-car" else ("sr", int(name[-2]))
        words = ["--ckpt_path", str(checkpoint), "--out", str(folder / name), "--format=safetensors", "--half", CPU]
        assert main(["--task", task, "export", *words, "--overwrite"]) == 0
        card = {**CARD, "task": task, "summary": f"a test of {name}", "scale": scale, "default": name != "tiny-4x"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**card, "scores": {"Set5 PSNR": 37.25}}))
    save(work / "image.png", noise(1, 30, 44))
    return folder


def test_nets_lists_them_without_a_task(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nets"]) == 0
    said = capsys.readouterr().out
    assert "tiny-2x  sr, the default: a test of tiny-2x (Set5 PSNR 37.25)" in said
    assert "use      --task sr predict --net tiny-4x IMAGES" in said
    assert main(["--task", "segment", "nets"]) == 0
    assert "tiny-2x" not in capsys.readouterr().out
    assert main(["nets", "more"]) == 2


@pytest.mark.parametrize(("words", "name", "size"), [([], "tiny-2x", (88, 60)), (["--scale=4"], "tiny-4x", (176, 120))])
def test_predict_without_a_run_uses_the_one_that_fits_and_says_so(
    shipped: Path, capsys: pytest.CaptureFixture[str], words: list[str], name: str, size: tuple[int, int]
) -> None:
    assert main(["--task", "sr", "predict", "image.png", *words, CPU, "--trainer.precision=32-true"]) == 0
    assert f"using the network {name}, a test of {name} (Set5 PSNR 37.25)" in capsys.readouterr().out
    with Image.open(f"runs/sr/{name}/predictions/result/image.png") as result:
        assert result.size == size
        expected = darkroom.load(name, device="cpu")("image.png")
        assert abs(np.asarray(result).astype(int) - np.asarray(expected)).max() <= 1


def test_a_named_network_is_used_even_if_there_is_a_run(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sr_checkpoint(Path("runs/sr/mine/checkpoints/best.ckpt"))
    assert main(["--task", "sr", "predict", "image.png", "--out", "own", CPU]) == 0
    assert "using the network" not in capsys.readouterr().out
    assert main(["--task", "sr", "predict", "image.png", "--net", "tiny-4x", "--out", "named", CPU]) == 0
    with Image.open("own/result/image.png") as own, Image.open("named/result/image.png") as named:
        assert (own.size, named.size) == ((88, 60), (176, 120))


def test_networks_that_restore_are_chosen_by_name(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sr_checkpoint(Path("one.ckpt"), scale=1)
    for name in ("tiny-dejpeg", "tiny-denoise"):
        words = ["--ckpt_path=one.ckpt", "--out", str(shipped / name), "--format=safetensors", "--overwrite", CPU]
        assert main(["--task", "sr", "export", *words]) == 0
        card = {**CARD, "task": "sr", "summary": "restores", "scale": 1, "default": False, "scores": {}}
        (shipped / f"{name}.yaml").write_text(yaml.safe_dump(card))
    words = ["--task", "sr", "predict", "image.png", CPU, "--trainer.precision=32-true"]
    assert main([*words, "--net", "tiny-denoise", "--out", "restored"]) == 0
    with Image.open("restored/result/image.png") as result:
        assert result.size == (44, 30)
        expected = darkroom.load("tiny-denoise", device="cpu")("image.png")
        assert abs(np.asarray(result).astype(int) - np.asarray(expected)).max() <= 1
    capsys.readouterr()
    assert main([*words, "--out", "enlarged"]) == 0
    assert "using the network tiny-2x" in capsys.readouterr().out
    assert main([*words, "--scale=1", "--out", "none"]) == 2
    assert "choose one with --net tiny-dejpeg or --net tiny-denoise" in capsys.readouterr().err


def test_a_run_starts_from_a_network(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_images(Path("images"), 4)
    words = [
        "--data.root=images", "--data.cache_dir=cache", "--data.num_workers=0", "--data.crops=2", "--data.val_size=12",
        "--model.net.width=8", "--model.net.blocks=2", "--trainer.enable_progress_bar=false", CPU,
        "--stages=[{name: 2x, scale: 2, size: 12, batch_size: 4, epochs: 1, lr: 1e-12}]", "--name=started",
    ]  # fmt: skip
    assert main(["--task", "sr", "--init_from", "tiny-2x", *words]) == 0
    ours = load_checkpoint(Path("runs/sr/started/checkpoints/last.ckpt")).weights["net.head.weight"]
    theirs = load_checkpoint(shipped / "tiny-2x.safetensors").weights["net.head.weight"].float()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_export_takes_the_name_of_one(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--ckpt_path", "tiny-2x", "--format=safetensors", "--out", "own", CPU]
    assert main(["--task", "sr", "export", *words]) == 0, capsys.readouterr().err
    own, theirs = (load_checkpoint(path).weights for path in (Path("own.safetensors"), shipped / "tiny-2x.safetensors"))
    torch.testing.assert_close(own["net.head.weight"].float(), theirs["net.head.weight"].float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task=sr", "export", "--ckpt_path=tiny-3x"], "there is no checkpoint 'tiny-3x': did you mean 'tiny-"),
        (["--task=sr", "predict", "--net=tiny-3x"], "unknown network 'tiny-3x': did you mean 'tiny-"),
        (["--task=sr", "predict", "--net=tiny-car"], "'tiny-car' is of the task 'segment': use --task segment"),
        (["--task=sr", "predict", "--net=tiny-2x", "--ckpt_path=best"], "--net and --ckpt_path name two networks"),
        (["--task=sr", "--net=tiny-2x"], "fit takes no --net: to start from its weights add --init_from tiny-2x"),
        (["--task=sr", "--init_from=tiny-9x"], "tiny-9x"),
        (["--task=style", "predict", "image.png"], "there is no run of style"),
        (["--task=tsyle", "nets"], "unknown task 'tsyle'"),
    ],
)
def test_mistakes_are_one_line(
    shipped: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_other_exports_are_no_checkpoints(tmp_path: Path) -> None:
    for name, problem in (("net.onnx", "cannot be read as ONNX"), ("net.pt2", "is an export without the settings")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(CheckpointError, match=rf"{name} {problem}"):
            darkroom.load(tmp_path / name)


def test_the_networks_of_this_version_are_small_and_have_their_cards() -> None:
    assert {path.stem for path in networks.FOLDER.glob("*.safetensors")} == {one.name for one in list_networks()}
    for network in list_networks():
        assert network.path.stat().st_size < 4e6
        assert network.scores
        styles = [str(style["name"]) for style in network.styles]
        for style in styles or [None]:
            assert darkroom.load(network.name, style=style, device="cpu").task == network.task
