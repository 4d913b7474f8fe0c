"""MPS has no float64: no command creates such a tensor. Simulated on the CPU by a mode that refuses it anywhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from experiments.cli.main import main
from tests.helpers.style_words import FIT, SMALL
from tests.helpers.style_words import TASK as STYLE
from tests.helpers.tiny_images import noise, save, save_images
from tests.helpers.tiny_run import TinyRuns

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--data.num_workers=0"]


class WithoutFloat64(TorchDispatchMode):
    """Refuses every operation whose result is float64, as MPS does, and counts the others."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.operations += 1
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64:
                raise TypeError(f"{func}: Cannot convert a MPS Tensor to float64 dtype")
        return out


def test_the_mode_refuses() -> None:
    with WithoutFloat64(), pytest.raises(TypeError, match="float64"):
        torch.zeros(3).double()
    with WithoutFloat64(), pytest.raises(TypeError, match="float64"):
        torch.zeros(3, dtype=torch.float64)


def test_segmentation(tiny: TinyRuns) -> None:
    with WithoutFloat64() as mode:
        assert tiny.run() == 0
        assert tiny.run("test") == 0
    assert mode.operations > 1000


def test_super_resolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path / "images", 6, 60, 70)
    stage = "{name: 2x, scale: 2, size: 12, batch_size: 2, epochs: 1, lr: 0.001}"
    words = ["--task", "sr", "--data.root=images", "--data.cache_dir=cache", "--data.crops=1", "--data.val_size=24"]
    words += ["--model.net.width=8", "--model.net.blocks=1", "--model.lpips=none", *QUIET, "--name=run"]
    with WithoutFloat64() as mode:
        assert main([*words, f"--stages=[{stage}]"]) == 0
        assert main(["--task", "sr", "test", "--name=run"]) == 0
        assert main(["--task", "sr", "predict", "images", "--name=run"]) == 0
    assert mode.operations > 1000


def test_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path / "images", 6, 60, 70)
    save(tmp_path / "painting.png", noise(50, 80, 100) // 2)
    with WithoutFloat64() as mode:
        assert main([*FIT, "--name=run", f"--stages=[{SMALL}]"]) == 0
        assert main([*STYLE, "test", "--name=run"]) == 0
        assert main([*STYLE, "predict", "images", "--name=run"]) == 0
    assert mode.operations > 1000
