"""Modules that take long to import are not imported by commands that do not use them."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
_CODE = """
import sys
from experiments.cli.main import main
code = main(sys.argv[1:])
print("modules", *sys.modules)
sys.exit(code)
"""


def modules_after(*words: str, cwd: Path) -> set[str]:
    """The modules that a command has imported."""
    command = [sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}{_CODE}", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


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
