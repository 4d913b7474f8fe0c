"""A segmentation export in rembg's session ``u2net_custom``: its mask is that of the network."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import experiments as darkroom
from experiments.cli.main import main
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint
from tests.helpers.tiny_images import noise

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)"),
]
MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The export, where rembg looks for models of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMBG_HOME", str(tmp_path))
    segment_checkpoint(Path("car.ckpt"))
    words = ["--ckpt_path=car.ckpt", "--format=rembg", "--out=car", "--trainer.accelerator=cpu"]
    assert main(["--task", "segment", "export", *words]) == 0
    return tmp_path / "car.rembg.onnx"


def image() -> Image.Image:
    """Smooth, with black and white, so that rembg's division by the largest value changes nothing."""
    pixels = F.interpolate(torch.from_numpy(noise(1, 5, 7)).permute(2, 0, 1)[None].float(), (150, 210), mode="bilinear")
    array = pixels[0].permute(1, 2, 0).byte().numpy().copy()
    array[:40, :40] = 255
    return Image.fromarray(array)


def expected_mask() -> Any:
    """Probabilities of the network at its own size for the square that rembg makes, stretched to 0..255."""
    given = np.asarray(image().resize((320, 320), Image.Resampling.LANCZOS))
    (probs,) = darkroom.load("car.ckpt", device="cpu")._network(
        F.interpolate(torch.from_numpy(given.copy()).permute(2, 0, 1)[None] / 255, (64, 64), mode="bilinear")
    )
    stretched = (probs[0] - probs.min()) / (probs.max() - probs.min())
    small = Image.fromarray((stretched.numpy() * 255).astype(np.uint8))
    return np.asarray(small.resize(image().size, Image.Resampling.LANCZOS)).astype(int)


def test_the_graph_takes_what_rembg_gives(file: Path) -> None:
    square = np.asarray(image().resize((320, 320), Image.Resampling.LANCZOS)) / 255
    given = ((square - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: given})
    stretched = (result[0, 0] - result.min()) / (result.max() - result.min())
    mask = Image.fromarray((stretched * 255).astype(np.uint8)).resize(image().size, Image.Resampling.LANCZOS)
    assert abs(np.asarray(mask).astype(int) - expected_mask()).max() <= 2


def test_rembg_itself_gives_the_mask(file: Path) -> None:
    rembg = pytest.importorskip("rembg", reason="rembg is not installed")
    session = rembg.new_session("u2net_custom", model_path=str(file), providers=["CPUExecutionProvider"])
    mask = rembg.remove(image(), session=session, only_mask=True)
    assert abs(np.asarray(mask).astype(int) - expected_mask()).max() <= 2


def test_other_networks_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment_checkpoint(Path("road.ckpt"), classes=("sky", "road"))
    sr_checkpoint(Path("sr.ckpt"))
    for task, name in (("segment", "road"), ("sr", "sr")):
        words = ["--ckpt_path", f"{name}.ckpt", "--format=rembg", "--out", name, "--trainer.accelerator=cpu"]
        assert main(["--task", task, "export", *words]) == 2
        assert "networks that segment one class" in capsys.readouterr().err
    assert not list(Path.cwd().glob("r*.onnx"))
