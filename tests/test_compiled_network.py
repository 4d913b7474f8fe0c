"""``--compile``: one compilation for each form of a stage, the weights of the plain run, and its checkpoints."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from callbacks.errors import StageError
from callbacks.training.compiled_network import CompiledNetwork
from callbacks.training.weight_averaging import StageWeightAveraging
from experiments.cli.main import main
from tests.helpers.tiny_run import QUIET
from tests.helpers.tiny_task import STAGES, TinyData, TinyTask, tiny_task, tiny_trainer


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def train(folder: Path, *extra: Any, ckpt_path: str | None = None) -> TinyTask:
    task, data = tiny_task(), TinyData(num_workers=0, seed=0)
    data.planned = STAGES
    tiny_trainer(folder, extra=extra).fit(task, data, ckpt_path=ckpt_path)
    return task


def weights(task: TinyTask) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in task.state_dict().items()}


def test_weights_are_those_of_the_plain_run(tmp_path: Path) -> None:
    plain = weights(train(tmp_path / "plain"))
    compiled = weights(train(tmp_path / "compiled", CompiledNetwork(len(STAGES), backend="eager")))
    assert counters["stats"]["unique_graphs"] == 1 + len(STAGES)  # the trial and three forms: frozen, whole, larger
    assert not counters["graph_break"]
    assert compiled.keys() == plain.keys()
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled[name], tensor, rtol=1e-5, atol=1e-6)


def test_checkpoint_is_resumed_without_it_and_averages_are_kept(tmp_path: Path) -> None:
    averaging = [StageWeightAveraging(STAGES, decay=0.9) for _ in range(2)]
    train(tmp_path / "compiled", averaging[0], CompiledNetwork(len(STAGES), backend="eager"))
    found = torch.load(tmp_path / "compiled/last.ckpt", weights_only=True)["state_dict"]
    train(tmp_path / "plain", averaging[1])
    expected = torch.load(tmp_path / "plain/last.ckpt", weights_only=True)["state_dict"]
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)


def test_machine_that_cannot_compile_is_told_before_the_first_step() -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no C++ compiler\nmore")

    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device="cpu"))
    callback = CompiledNetwork(1)
    callback.backend = broken  # type: ignore[assignment]
    with pytest.raises(StageError, match=r"^--compile: .*no C\+\+ compiler.*leave it out$"):
        callback.setup(trainer, tiny_task(), "fit")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler g++")
def test_command_line_compiles_both_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stages = "[{name: a, scale: 2, size: 8, batch_size: 4, epochs: 1, lr: 1e-3}, " \
        "{name: b, scale: 2, size: 12, batch_size: 4, epochs: 1, lr: 1e-3}]"  # fmt: skip
    net = ["--model.net.width", "8", "--model.net.blocks", "1"]
    code = main(["--task", "sr", "--compile", "--stages", stages, *net, "--trainer.limit_train_batches", "2",
                 "--data.num_workers", "0", *QUIET])  # fmt: skip
    assert code == 0
    assert counters["stats"]["unique_graphs"] == 3
    saved = torch.load(next(tmp_path.glob("runs/sr/*/checkpoints/last.ckpt")), weights_only=True)["state_dict"]
    assert not any("_orig_mod" in name for name in saved)
