"""Modules that take long to import are not imported by commands that do not use them."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint, style_checkpoint

ROOT = Path(__file__).parents[1]
_CODE = """
import sys
from experiments.cli.main import main
code = main(sys.argv[1:])
print("modules", *sys.modules)
sys.exit(code)
"""

_LOAD = """
import sys
import cv2, jsonargparse, lazy_loader, numpy, PIL.Image, safetensors.torch, torch, yaml
before = set(sys.modules)
import experiments as darkroom
for checkpoint in sys.argv[1:]:
    darkroom.load(checkpoint, device="cpu")("image.png")
    print("modules", *(set(sys.modules) - before))
"""
#: Packages that jsonargparse and torch import when they are used.
_LATER = {"attr", "attrs", "cython_runtime", "docstring_parser", "tqdm", "typeshed_client", "typing_extensions"}
_BEFORE = {"PIL", "cv2", "jsonargparse", "numpy", "safetensors", "torch", "torchgen", "yaml"}
_OWN = {"callbacks", "datamodules", "experiments", "lightning_modules", "models"}


def modules_after(*words: str, cwd: Path) -> set[str]:
    """The modules that a command has imported."""
    return printed_modules(_CODE, *words, cwd=cwd)[-1]


def printed_modules(code: str, *words: str, cwd: Path) -> list[set[str]]:
    """Runs ``code`` in a new process and returns the modules of each line that it prints."""
    command = [sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}{code}", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [set(line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("modules")]


def test_help_imports_no_numerical_library(tmp_path: Path) -> None:
    found = modules_after("--help", cwd=tmp_path)
    assert "experiments.cli.help" in found
    assert not found & {"torch", "numpy", "lightning", "jsonargparse", "PIL", "cv2", "matplotlib", "scipy"}


@pytest.mark.slow
def test_prediction_imports_nothing_that_only_training_uses(tmp_path: Path) -> None:
    Image.new("RGB", (24, 16), "gray").save(tmp_path / "image.png")
    words = ["--task", "sr", "predict", "--net", "sr-2x", "image.png", "--out", "out", "--trainer.accelerator", "cpu"]
    found = modules_after(*words, cwd=tmp_path)
    assert "experiments.commands.predict" in found
    late = {"albumentations", "huggingface_hub", "pydantic", "skimage", "tensorboard", "pandas", "sklearn", "onnx"}
    assert not found & late
    assert "experiments.commands.fit_callbacks" not in found


@pytest.mark.slow
def test_a_network_is_loaded_and_applied_without_lightning(tmp_path: Path) -> None:
    Image.new("RGB", (72, 64), "gray").save(tmp_path / "image.png")
    sr_checkpoint(tmp_path / "sr.ckpt")
    style_checkpoint(tmp_path / "style.ckpt")
    segment_checkpoint(tmp_path / "car.ckpt")
    *_, found, segment = printed_modules(_LOAD, "sr.ckpt", "style.ckpt", "sr-2x", "car.ckpt", cwd=tmp_path)
    packages = {name.partition(".")[0] for name in found if not name.startswith("_")}
    assert packages - set(sys.stdlib_module_names) <= _BEFORE | _OWN | _LATER
    assert not {name for name in found if name.startswith(("lightning_modules.", "models.losses", "torch._dynamo"))}
    assert "torchvision" in segment  # builds the encoder
    assert not segment & {"lightning", "torchmetrics", "scipy", "matplotlib", "albumentations", "pandas", "skimage"}
