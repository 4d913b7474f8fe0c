"""Networks of other projects give spandrel's results, from their files alone, and are trained further."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from spandrel import ModelLoader
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.SwinIR import SwinIR
from torch import Tensor, nn

import experiments as darkroom
from callbacks.errors import CheckpointError
from experiments.cli.main import main
from experiments.runs.checkpoint import load_checkpoint
from models import CommunityUpscaler, WeightsError
from tests.helpers.tiny_images import noise, save, save_images

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)"),
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),  # in SwinIR of spandrel
]
CPU = ["--trainer.accelerator=cpu", "--trainer.precision=32-true"]


def made(kind: str) -> nn.Module:
    """A small network with random weights."""
    torch.manual_seed(0)
    if kind == "compact":
        return Compact(num_feat=8, num_conv=2, upscale=2)
    if kind == "esrgan":
        return ESRGAN(num_filters=8, num_blocks=1, scale=4)
    return SwinIR(
        img_size=16, window_size=8, depths=[2], num_heads=[2], embed_dim=12, upscale=2, upsampler="pixelshuffledirect"
    )


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKROOM_RUN_FOLDER", "")


def saved(kind: str, *, key: str | None = None) -> Path:
    state = made(kind).state_dict()
    path = Path(f"{kind}.pth")
    torch.save({key: state} if key else state, path)
    return path


def of_spandrel(path: Path, images: Tensor) -> Tensor:
    """The result of spandrel's own loader and call, one image at a time."""
    described = ModelLoader().load_from_file(path)
    return torch.cat([described(image[None]) for image in images])  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["compact", "esrgan", "swinir"])
@pytest.mark.parametrize("size", [(16, 24), (19, 13)])
def test_the_result_is_that_of_spandrel(kind: str, size: tuple[int, int]) -> None:
    path = saved(kind)
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    net = CommunityUpscaler(weights=path).eval()
    with torch.no_grad():
        torch.testing.assert_close(net(images).clamp(0, 1), of_spandrel(path, images), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["compact", "esrgan", "swinir"])
def test_plain_settings_build_the_same_network_without_the_file(kind: str) -> None:
    net = CommunityUpscaler(weights=saved(kind)).eval()
    Path(f"{kind}.pth").unlink()
    settings = net.settings()
    torch.save(settings, "settings.pt")
    again = CommunityUpscaler(**torch.load("settings.pt", weights_only=True)).eval()
    again.load_state_dict(net.state_dict())
    images = torch.rand(1, 3, 17, 22, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(again(images), net(images), rtol=0, atol=0)


def test_a_file_predicts_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    path = saved("compact", key="params_ema")
    save(Path("image.png"), noise(1, 30, 44))
    array = noise(1, 30, 44)
    images = torch.from_numpy(array).permute(2, 0, 1)[None] / 255
    expected = of_spandrel(path, images)[0].permute(1, 2, 0).mul(255).round().numpy()
    ours = darkroom.load(path, device="cpu")
    assert (ours.task, ours.scale) == ("sr", 2)
    assert abs(ours(array).astype(float) - expected).max() <= 1
    assert main(["--task", "sr", "predict", "image.png", "--ckpt_path", str(path), "--out=out", *CPU]) == 0
    written = np.asarray(darkroom.load(path, device="cpu")("image.png")).astype(float)
    assert abs(written - expected).max() <= 1


def test_fine_tuning_changes_it_and_the_checkpoint_needs_no_file() -> None:
    path = saved("compact")
    save_images(Path("images"), 4)
    words = [
        "--model.net=CommunityUpscaler", f"--model.net.weights={path}", "--data.root=images", "--data.cache_dir=cache",
        "--data.num_workers=0", "--data.crops=2", "--data.val_size=12", "--trainer.enable_progress_bar=false", *CPU,
        "--stages=[{name: 2x, scale: 2, size: 12, batch_size: 4, epochs: 1, lr: 1e-3}]", "--name=tuned",
    ]  # fmt: skip
    assert main(["--task", "sr", *words]) == 0
    before = CommunityUpscaler(weights=path).state_dict()
    path.unlink()
    checkpoint = Path("runs/sr/tuned/checkpoints/last.ckpt")
    weights = load_checkpoint(checkpoint).weights
    changed = [name for name, tensor in before.items() if not torch.equal(weights[f"net.{name}"], tensor)]
    assert len(changed) == len(before)
    assert darkroom.load(checkpoint, device="cpu")(noise(1, 20, 20)).shape == (40, 40, 3)


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    path = saved("compact")
    save(Path("image.png"), noise(1, 30, 44))
    torch.save({"weight": torch.zeros(2)}, "foreign.pth")
    with pytest.raises(CheckpointError, match=r"foreign.pth is not a checkpoint of Darkroom.*spandrel knows"):
        darkroom.load("foreign.pth")
    with pytest.raises(WeightsError, match=r"there is no file none.pth"):
        CommunityUpscaler(weights=Path("none.pth"))
    with pytest.raises(ValueError, match="needs weights: FILE"):
        CommunityUpscaler()
    with pytest.raises(WeightsError, match="no architecture 'Compct'"):
        CommunityUpscaler(architecture="Compct")
    net = CommunityUpscaler(weights=path)
    with pytest.raises(ValueError, match="enlarges 2 times: set scale: 2"):
        net.active_scale = 4
    torch.save(Compact(num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=2, upscale=2).state_dict(), "gray.pth")
    with pytest.raises(WeightsError, match=r"gray.pth maps images of 1 channels"):
        CommunityUpscaler(weights=Path("gray.pth"))


def test_files_that_run_code_are_refused() -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path("ran"),)  # type: ignore[return-value]

    torch.save({"weight": Harmful()}, "harmful.pth")
    with pytest.raises(WeightsError, match=r"harmful.pth cannot be read as weights"):
        CommunityUpscaler(weights=Path("harmful.pth"))
    assert not Path("ran").exists()


def test_the_extra_is_named_without_spandrel(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved("compact")
    save(Path("image.png"), noise(1, 30, 44))
    monkeypatch.setitem(sys.modules, "spandrel", None)
    assert main(["--task", "sr", "predict", "image.png", "--ckpt_path", str(path)]) != 0
    error = capsys.readouterr().err.strip().splitlines()
    assert "pip install '.[zoo]'" in error[-1]
