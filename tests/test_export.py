"""Exports give the results of the network, in ONNX Runtime, as torch programs, and read back from safetensors."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import experiments as darkroom
from callbacks.errors import CheckpointError, ExportError
from experiments.cli.main import main
from experiments.export import check
from experiments.export.graph import InferenceGraph, to_onnx, trace
from experiments.runs.trained_module import trained_module
from lightning_modules.base import ImageTask
from lightning_modules.segmentation import SegmentationModule
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint, style_checkpoint
from tests.helpers.tiny_images import noise, save
from tests.helpers.tiny_segment import DiscNet

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
SCRIPT = Path(__file__).parents[1] / "experiments/onnx_predict.py"
NAMES = ["sr", "style", *(pytest.param(name, marks=pytest.mark.slow) for name in ("car", "road"))]
TASKS = {"car": "segment", "road": "segment", "sr": "sr", "style": "style"}


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with checkpoints, exports and images, which is the working directory."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        segment_checkpoint(Path("car.ckpt"), threshold=0.4, flip=True)
        segment_checkpoint(Path("road.ckpt"), classes=("sky", "road", "tree"))
        sr_checkpoint(Path("sr.ckpt"))
        style_checkpoint(Path("style.ckpt"))
        save(Path("images/wide.png"), noise(1, 45, 83))
        save(Path("images/large.jpg"), noise(2, 256, 352))  # decoded at a half for segmentation, two tiles for sr
        turned = Image.Exif()
        turned[0x0112] = 6
        Image.fromarray(noise(3, 150, 90)).save("images/turned.jpg", exif=turned, quality=95)
        Image.fromarray(noise(6, 30, 40)).convert("L").save("images/gray.png")
        yield folder


@cache
def onnx_file(name: str) -> Path:
    """The ONNX export of a network; that of ``road`` has float16 weights."""
    half = ["--half"] if name == "road" else []
    assert export(name, "--out", f"{name}-files/{name}", "--script", *half) == 0
    return Path(f"{name}-files/{name}.onnx")


def export(name: str, *words: str) -> int:
    return main(["--task", TASKS[name], "export", "--ckpt_path", f"{name}.ckpt", "--trainer.accelerator=cpu", *words])


def graph_of(name: str) -> InferenceGraph:
    return InferenceGraph(trained_module(TASKS[name], Path(f"{name}.ckpt"), ImageTask))


def run_onnx(file: Path, images: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


@pytest.mark.parametrize("name", NAMES)
def test_onnx_runs_any_batch_and_size_as_the_network(name: str) -> None:
    graph = graph_of(name)
    tolerance = 2e-2 if name == "road" else 1e-4  # its weights are float16
    for shape in ((1, 3, 32, 32), (2, 3, 41, 37), (4, 3, 160, 96), (1, 3, 35, 211), (1, 3, 96, 97)):
        images = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            torch.testing.assert_close(run_onnx(onnx_file(name), images), graph(images), rtol=0, atol=tolerance)


@pytest.mark.slow
def test_onnx_says_what_it_is() -> None:
    model = onnx.load(onnx_file("car"))
    onnx.checker.check_model(model)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(about["classes"]) == ["car"]
    assert (about["task"], about["size"], about["threshold"], about["weights"]) == ("segment", "64", "0.4", "float32")
    assert about["darkroom_version"]
    assert model.opset_import[0].version == 18
    axes = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 3, "height", "width"]
    assert {entry.key: entry.value for entry in onnx.load(onnx_file("sr")).metadata_props}["scale"] == "2"
    content = onnx_file("car").read_bytes()
    assert b"site-packages" not in content  # torch adds stack traces, which name files of this machine
    assert not any(node.metadata_props for node in model.graph.node)


@pytest.mark.slow
def test_half_weights_take_half_the_space() -> None:
    assert onnx_file("road").stat().st_size < 0.55 * onnx_file("car").stat().st_size
    kinds = {
        tensor.data_type for tensor in onnx.load(onnx_file("road")).graph.initializer if np.prod(tensor.dims) > 10_000
    }
    assert kinds == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("name", NAMES)
def test_the_script_writes_the_files_of_predict(name: str) -> None:
    file = onnx_file(name)  # with the script beside it
    images = [str(path) for path in sorted(Path("images").iterdir())]
    command = [sys.executable, "-I", str(file.parent / SCRIPT.name), str(file), *images, "--out", f"{name}-onnx"]
    subprocess.run(command, check=True, capture_output=True)
    kind = "mask" if TASKS[name] == "segment" else "result"
    words = ["--outputs=mask"] if kind == "mask" else []
    fixed = ["--ckpt_path", f"{name}.ckpt", "--trainer.accelerator=cpu", "--trainer.precision=32-true"]
    assert main(["--task", TASKS[name], "predict", "images", "--out", f"{name}-torch", *fixed, *words]) == 0
    for path in images:
        ours, theirs = (
            Image.open(Path(out, kind, f"{Path(path).stem}.png")) for out in (f"{name}-onnx", f"{name}-torch")
        )
        assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
        difference = abs(np.asarray(ours).astype(int) - np.asarray(theirs).astype(int))
        if kind == "mask":
            assert (difference == 0).mean() > (0.97 if name == "road" else 0.995)  # float16 moves edges
        else:
            assert difference.max() <= 1
        if ours.mode == "P":
            assert ours.getpalette() == theirs.getpalette()


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_another_form_of_the_input(name: str) -> None:
    assert export(name, "--out", f"{name}-bytes/{name}", "--input=uint8") == 0
    session = onnxruntime.InferenceSession(f"{name}-bytes/{name}.onnx", providers=["CPUExecutionProvider"])
    assert [(one.type, one.shape) for one in session.get_inputs()] == [
        ("tensor(uint8)", ["batch", "height", "width", 3])
    ]
    graph = graph_of(name)
    for shape in ((1, 32, 32), (2, 41, 37), (4, 160, 96), (1, 35, 211), (1, 96, 97)):
        array = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
        with torch.no_grad():
            expected = graph(torch.from_numpy(array).permute(0, 3, 1, 2) / 255)
        found = torch.from_numpy(session.run(None, {"images": array})[0])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    command = [sys.executable, "-I", str(SCRIPT), f"{name}-bytes/{name}.onnx", "images/wide.png", "--out=from-bytes"]
    subprocess.run(command, check=True, capture_output=True)
    words = ["predict", "images/wide.png", "--onnx", f"{name}-bytes/{name}.onnx", "--out=runtime-bytes"]
    words += ["--outputs=mask"] if TASKS[name] == "segment" else []
    assert main(["--task", TASKS[name], *words, "--trainer.accelerator=cpu", "--trainer.precision=32-true"]) == 0
    kind = "mask" if TASKS[name] == "segment" else "result"
    script, runtime = (np.asarray(Image.open(f"{out}/{kind}/wide.png")) for out in ("from-bytes", "runtime-bytes"))
    assert (abs(script.astype(int) - runtime) <= 1).mean() > 0.995


@pytest.mark.parametrize("name", NAMES)
def test_predict_gives_the_same_files_in_onnx_runtime(name: str) -> None:
    words = ["--outputs=mask"] if TASKS[name] == "segment" else []
    fixed = ["predict", "images", "--trainer.accelerator=cpu", "--trainer.precision=32-true", *words]
    assert main(["--task", TASKS[name], *fixed, "--onnx", str(onnx_file(name)), "--out", f"{name}-runtime"]) == 0
    assert main(["--task", TASKS[name], *fixed, "--ckpt_path", f"{name}.ckpt", "--out", f"{name}-eager"]) == 0
    written = sorted(path.relative_to(f"{name}-eager") for path in Path(f"{name}-eager").rglob("*.png"))
    assert len(written) == 4
    for path in written:
        ours, theirs = (Image.open(Path(out, path)) for out in (f"{name}-runtime", f"{name}-eager"))
        assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
        difference = abs(np.asarray(ours).astype(int) - np.asarray(theirs).astype(int))
        if TASKS[name] == "segment":
            assert (difference == 0).mean() > (0.97 if name == "road" else 0.999)  # float16 moves edges
        else:
            assert difference.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_torch_program_runs_any_size(name: str) -> None:
    assert export(name, "--format=torch", "--out", f"{name}-program") == 0
    program = torch.export.load(f"{name}-program.pt2").module()
    graph = graph_of(name)
    for shape in ((1, 3, 32, 32), (2, 3, 41, 37), (1, 3, 160, 97)):
        images = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            torch.testing.assert_close(program(images), graph(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_safetensors_alone_is_enough_for_predict_and_load(name: str) -> None:
    assert export(name, "--format=safetensors", "--out", f"{name}/net") == 0
    config = json.loads(Path(name, "config.json").read_text(encoding="utf-8"))
    assert config["record"]["task"] == TASKS[name]
    shutil.copy(f"{name}/net.safetensors", f"alone-{name}.safetensors")
    image = noise(1, 45, 83)
    ours, theirs = (darkroom.load(file, device="cpu")(image) for file in (f"alone-{name}.safetensors", f"{name}.ckpt"))
    if TASKS[name] == "segment":
        np.testing.assert_array_equal(ours.probs, theirs.probs)
    else:
        np.testing.assert_array_equal(ours, theirs)
    fixed = ["--ckpt_path", f"alone-{name}.safetensors", "--out", f"alone-{name}", "--trainer.accelerator=cpu"]
    assert main(["--task", TASKS[name], "predict", "images/wide.png", *fixed]) == 0


def test_damaged_and_foreign_safetensors_are_named() -> None:
    Path("cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(CheckpointError, match=r"cut.safetensors cannot be read as a network"):
        darkroom.load("cut.safetensors")
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, "foreign.safetensors")
    with pytest.raises(CheckpointError, match=r"foreign.safetensors is not a checkpoint of Darkroom"):
        darkroom.load("foreign.safetensors")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format=tflite"], "unknown format 'tflite'"),
        (["--format=,"], "--format is empty"),
        (["--format=onnx", "--out=there.pt2"], "--format onnx writes .onnx"),
        (["--format=onnx", "--out=images"], "images is a folder"),
        (["--format=torch", "--script"], "add onnx to --format"),
        (["--format=safetensors", "--out=kept"], "kept.safetensors exists: add --overwrite"),
    ],
)
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    Path("kept.safetensors").write_text("kept")
    assert export("sr", *words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert Path("kept.safetensors").read_text() == "kept"


def test_a_file_is_replaced_when_asked() -> None:
    Path("replaced").mkdir()
    Path("replaced/net.safetensors").write_text("old")
    assert export("sr", "--format=safetensors", "--out=replaced/net", "--overwrite") == 0
    assert darkroom.load("replaced/net.safetensors").scale == 2


def test_a_missing_package_names_the_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export("sr", "--out=missing") == 2
    assert "needs the package onnxruntime: install the extra with pip install -e '.[export]'" in capsys.readouterr().err
    assert not Path("missing.onnx").exists()


def test_a_file_that_differs_gets_no_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TOLERANCE", 0.0)  # rounding alone is too much now
    assert export("sr", "--out=differs") == 1
    assert "differs.onnx differs from the network by" in capsys.readouterr().err
    assert list(Path.cwd().glob("*differs*")) == []


class Unexportable(DiscNet):
    """A network with a layer that ONNX does not have, or that depends on the values of the image."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.odd = layer

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(self.odd(image))


class Eigenvalues(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image + torch.linalg.eigvals(image[..., :2, :2]).real.sum()


class Branch(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image if float(image.mean()) > 0.5 else -image


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Eigenvalues(), r"net.odd: .*eig.* has no counterpart in ONNX"),
        (Branch(), r"net.odd \(Branch\) cannot be exported"),
    ],
)
def test_a_layer_that_cannot_be_exported_is_named(layer: nn.Module, message: str) -> None:
    graph = InferenceGraph(SegmentationModule(net=Unexportable(layer)))

    def export_graph() -> Any:
        return to_onnx(trace(graph), opset=18)

    with pytest.raises(ExportError, match=message):
        export_graph()
