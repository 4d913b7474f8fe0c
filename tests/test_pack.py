"""``experiments.networks.pack``: a checkpoint becomes a network with a card, in a folder of one's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import experiments as darkroom
from experiments.cli.main import main
from experiments.cli.usage import UsageError
from experiments.networks import FOLDER, list_networks, pack
from experiments.runs.checkpoint import load_checkpoint
from tests.helpers.checkpoints import sr_checkpoint, style_checkpoint
from tests.helpers.tiny_images import noise, save, save_images

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
CPU = "--trainer.accelerator=cpu"
CARD = ["--summary=enlarges", "--data=noise", "--license=MIT", "--trained=run.py --task sr", "--time=0 s"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own networks; the working directory has a checkpoint and images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKROOM_NETWORKS", str(tmp_path / "own"))
    sr_checkpoint(Path("sr.ckpt"))
    save(Path("image.png"), noise(1, 30, 44))
    save(Path("set/one.png"), noise(2, 40, 48))
    return tmp_path / "own"


def packed(*words: str, checkpoint: str = "sr.ckpt", name: str = "mine-2x") -> int:
    return pack.main([checkpoint, f"--name={name}", *CARD, *words])


def test_a_packed_network_is_used_by_its_name(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert packed("--benchmark=Noise=set", CPU, "--default") == 0
    assert "predict --net mine-2x IMAGES" in capsys.readouterr().out
    card = yaml.safe_load((own / "mine-2x.yaml").read_text(encoding="utf-8"))
    assert (card["task"], card["scale"], card["license"], card["command"]) == ("sr", 2, "MIT", "run.py --task sr")

    saved, stored = load_checkpoint(Path("sr.ckpt")).weights, load_checkpoint(own / "mine-2x.safetensors").weights
    assert stored.keys() == saved.keys()
    for name, tensor in saved.items():
        torch.testing.assert_close(stored[name], tensor.half(), rtol=0, atol=0)
    expected = np.asarray(darkroom.load("sr.ckpt", device="cpu")("image.png")).astype(int)
    assert abs(np.asarray(darkroom.load("mine-2x", device="cpu")("image.png")) - expected).max() <= 1

    fixed = [CPU, "--trainer.precision=32-true"]
    assert main(["--task", "sr", "predict", "image.png", "--out=named", "--net=mine-2x", *fixed]) == 0
    assert main(["--task", "sr", "predict", "image.png", "--out=default", *fixed]) == 0
    for out in ("named", "default"):
        with Image.open(f"{out}/result/image.png") as result:
            assert abs(np.asarray(result) - expected).max() <= 1

    words = ["--ckpt_path=sr.ckpt", "--data.benchmark=set", "--name=own-test", "--model.lpips=none", *fixed]
    assert main(["--task", "sr", "test", *words]) == 0
    scores = yaml.safe_load(Path("runs/sr/own-test/test.json").read_text(encoding="utf-8"))["scores"]
    assert card["scores"]["Noise psnr"] == pytest.approx(scores["test/psnr"], abs=0.01)


def test_a_run_starts_from_a_network_of_ones_own(own: Path) -> None:
    assert packed() == 0
    save_images(Path("images"), 4)
    words = [
        "--data.root=images", "--data.cache_dir=cache", "--data.num_workers=0", "--data.crops=2", "--data.val_size=12",
        "--model.net.width=8", "--model.net.blocks=2", "--trainer.enable_progress_bar=false", CPU,
        "--stages=[{name: 2x, scale: 2, size: 12, batch_size: 4, epochs: 1, lr: 1e-12}]", "--name=started",
    ]  # fmt: skip
    assert main(["--task", "sr", "--init_from", "mine-2x", *words]) == 0
    ours = load_checkpoint(Path("runs/sr/started/checkpoints/last.ckpt")).weights["net.head.weight"]
    theirs = load_checkpoint(Path("sr.ckpt")).weights["net.head.weight"]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


def test_the_record_names_no_file_of_this_machine(own: Path) -> None:
    content = torch.load(style_checkpoint(Path("style.ckpt")), weights_only=True)
    content["darkroom"]["model"]["loss"]["weights"] = "/home/me/vgg.pth"
    content["darkroom"]["data"]["init_args"] = {"root": "/home/me/images", "style_image": "/home/me/wave.jpg"}
    torch.save(content, "style.ckpt")
    assert packed(checkpoint="style.ckpt", name="wave") == 0
    assert b"/home/me" not in (own / "wave.safetensors").read_bytes()
    units = load_checkpoint(own / "wave.safetensors").weights["loss.units"]
    torch.testing.assert_close(units, content["state_dict"]["loss.units"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name=a/b"], "--name 'a/b': must be a file name"),
        (["--benchmark=set"], "--benchmark set: write NAME=FOLDER"),
        (["--name=there"], "own/there.yaml exists: add --overwrite"),
    ],
)
def test_mistakes_are_one_line(own: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    own.mkdir()
    (own / "there.yaml").write_text("task: sr\n", encoding="utf-8")
    assert packed(*words) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert [file.name for file in own.iterdir()] == ["there.yaml"]


def test_a_checkpoint_or_a_folder_that_is_missing_is_named(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packed(checkpoint="none.ckpt") == 2
    assert "none.ckpt" in capsys.readouterr().err
    monkeypatch.delenv("DARKROOM_NETWORKS")
    assert packed() == 2
    assert "set DARKROOM_NETWORKS" in capsys.readouterr().err


def test_nothing_is_written_if_a_benchmark_cannot_be_measured(own: Path) -> None:
    assert packed("--benchmark=None=nowhere", CPU) == 2
    assert not own.exists()


def test_networks_that_ship_have_a_limit(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "MAX_SIZE", 1000)
    assert packed("--out", str(FOLDER)) == 1
    assert "and a network that ships at most" in capsys.readouterr().err
    assert not (FOLDER / "mine-2x.yaml").exists()


def test_a_damaged_card_is_named(own: Path) -> None:
    own.mkdir()
    (own / "bad.yaml").write_text("task: sr\nsize: 3\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"bad.yaml is not the card of a network: got an unexpected keyword .*'size'"):
        list_networks()
