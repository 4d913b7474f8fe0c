"""A configuration or checkpoint that is not trusted runs no code of its author."""

import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser, Namespace

from callbacks.errors import CheckpointError
from experiments import load
from experiments.cli.main import main
from experiments.cli.trust import LIGHTNING_CLASSES, PACKAGES, allowed_classes, check_config, import_policy
from experiments.cli.usage import UsageError
from experiments.tasks.table import TASKS
from tests.helpers.tiny_run import TinyRuns

HANDLER = "torch.distributed.elastic.multiprocessing.subprocess_handler.SubprocessHandler"


def handler(file: Path) -> dict[str, Any]:
    arguments = {"entrypoint": "touch", "args": [str(file)], "env": {}, "stdout": None, "stderr": None}
    return {"class_path": HANDLER, "init_args": {**arguments, "local_rank_id": 0, "numa_options": None}}


def popen(file: Path) -> dict[str, Any]:
    return {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(file)]}}


def transformer(file: Path) -> dict[str, Any]:
    return {
        "class_path": "torch.nn.Transformer",
        "init_args": {"d_model": 8, "nhead": 1, "custom_encoder": popen(file)},
    }


def hub(file: Path) -> dict[str, Any]:
    """A folder whose hubconf.py writes the file; torch.hub.load runs it."""
    folder = file.with_suffix(".hub")
    folder.mkdir(exist_ok=True)
    (folder / "hubconf.py").write_text(f"open({str(file)!r}, 'w').close()\ndef net(): return 1\n", encoding="utf-8")
    return {
        "class_path": "torch.hub.load",
        "init_args": {"repo_or_dir": str(folder), "model": "net", "source": "local", "trust_repo": True},
    }


def run_gadget(spec: Any) -> Any:
    """Imports and calls, as an instantiation of everything would."""
    if isinstance(spec, dict) and "class_path" in spec:
        module, _, name = spec["class_path"].rpartition(".")
        return getattr(import_module(module), name)(**{k: run_gadget(v) for k, v in spec["init_args"].items()})
    return spec


@pytest.mark.parametrize("gadget", [popen, transformer, hub])
def test_the_gadgets_work(gadget: Any, tmp_path: Path) -> None:
    """Otherwise the tests below could not fail."""
    made = run_gadget(gadget(tmp_path / "ran"))
    process = getattr(made, "encoder", made)
    if isinstance(process, subprocess.Popen):
        process.wait()
    assert (tmp_path / "ran").exists()


def parameters() -> Iterator[tuple[str, str]]:
    """Every parameter of every allowed class, and one that no class has, for ``**kwargs``."""
    for path in sorted(set(allowed_classes().values())):
        module, _, name = path.rpartition(".")
        cls = getattr(import_module(module), name)
        names = {n for base in cls.__mro__ if base is not object for n in inspect.signature(base.__init__).parameters}
        yield from ((path, name) for name in [*sorted(names - {"self", "args", "kwargs", "options"}), "surplus"])


STAGES = {"stages": [{"name": "a", "size": 32, "batch_size": 1, "epochs": 1, "lr": 0.1}]}
UNET = {"class_path": "models.UNet", "init_args": {"pretrained": "none"}}
SRRESNET, STYLERESNET = {"class_path": "models.SrResnet"}, {"class_path": "models.StyleResnet"}
# What classes need so that they can be built, and nothing is downloaded.
NEEDED: dict[str, dict[str, Any]] = {
    "callbacks.Dashboard": {"configuration": {}},
    "callbacks.ProgressiveResizing": STAGES,
    "callbacks.ReplicaCheck": {**STAGES, "every_n_steps": 1},
    "callbacks.RunCheckpoint": {**STAGES, "folder": "x", "monitor": "val/dice", "mode": "max"},
    "callbacks.StageWeightAveraging": {**STAGES, "decay": 0.9},
    "callbacks.StepSeed": {"seed": 0},
    "datamodules.FolderDataModule": {"root": "images"},
    "lightning.pytorch.callbacks.EarlyStopping": {"monitor": "val/dice"},
    "lightning.pytorch.callbacks.GradientAccumulationScheduler": {"scheduling": {"0": 1}},
    "lightning.pytorch.loggers.CSVLogger": {"save_dir": "logs"},
    "lightning.pytorch.loggers.TensorBoardLogger": {"save_dir": "logs"},
    "lightning.pytorch.strategies.SingleDeviceStrategy": {"device": "cpu"},
    "lightning_modules.ImageTask": {"net": UNET},
    "lightning_modules.SegmentationModule": {"net": UNET},
    "lightning_modules.StyleModule": {"net": STYLERESNET, "loss": {"class_path": "models.StyleLoss"}},
    "lightning_modules.SuperResolutionModule": {"net": SRRESNET, "loss": {"class_path": "models.L1Loss"}},
    "models.SimpleSegmenter": {"pretrained": "none"},
    "models.SubpixelUpsample": {"channels": 2},
    "models.UNet": {"pretrained": "none"},
    "models.UNet34": {"pretrained": "none"},
}


def build(path: str, arguments: dict[str, Any], more: dict[str, Any]) -> Any:
    """What the command line does with a class in a configuration."""
    module, _, name = path.rpartition(".")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--trainer.it", type=getattr(import_module(module), name))
    spec = {
        "class_path": path,
        "init_args": {**NEEDED.get(path, {}), **arguments},
        **({"dict_kwargs": more} if more else {}),
    }
    with import_policy(trust_config=False):
        config = parser.parse_object({"trainer": {"it": spec}})
        check_config(config)
        return parser.instantiate(config).trainer.it


def holds_foreign_code(value: Any) -> bool:
    values = vars(value).values() if hasattr(value, "__dict__") else []
    return any(getattr(found, "__module__", "").partition(".")[0] in ("os", "posix", "subprocess") for found in values)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Lightning's profilers, half built
def test_no_parameter_of_an_allowed_class_takes_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tried = list(parameters())
    assert len(tried) > 200
    for number, (path, parameter) in enumerate(tried):
        file = tmp_path / f"ran{number}"
        gadgets = [popen(file), handler(file), transformer(file), hub(file)]
        values = [*gadgets, [gadgets[0]], {"a": gadgets[0]}, "os.system", "subprocess.Popen", "models.UNet.forward"]
        for value in values:
            for arguments, more in (({parameter: value}, {}), ({}, {parameter: value})):
                try:
                    built = build(path, arguments, more)
                except Exception:
                    continue
                assert not holds_foreign_code(built), (path, parameter, value)
    time.sleep(0.5)
    ran = [tried[int(file.name[3:])] for file in tmp_path.glob("ran*") if not file.suffix]
    assert not ran


def test_allowed_classes_exist_and_are_what_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for path, public in allowed_classes().items():
        objects = []
        for name in (path, public):
            module, _, attribute = name.rpartition(".")
            objects.append(getattr(import_module(module), attribute))
        assert inspect.isclass(objects[0])
        assert objects[0] is objects[1]
        assert objects[0].__module__.partition(".")[0] in (*PACKAGES, "lightning")


@pytest.mark.parametrize("task", TASKS)
def test_recipes_need_no_trust(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    for recipe in TASKS[task].recipe_names():
        assert main(["--task", task, "--recipe", recipe, "--print_config"]) == 0
    assert capsys.readouterr().out


def test_allowed_classes_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused above is refused for the gadget, and not because the class cannot be built anyway."""
    monkeypatch.chdir(tmp_path)
    built = []
    for path in set(allowed_classes().values()):
        try:
            built.append(type(build(path, {}, {})).__name__ == path.rpartition(".")[2])
        except Exception:
            continue
    assert all(built)
    assert len(built) > 48


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"trainer": {"it": len}}, "trainer.it: 'len' is code found by its name: add --trust-config"),
        (
            {"trainer": {"it": {"class_path": "models.UNet.forward"}}},
            "trainer.it: 'models.UNet.forward' is a member of a class, not a class: add --trust-config",
        ),
        (
            {"model": {"net": {"class_path": "lightning.pytorch.loggers.CSVLogger"}}},
            "model.net: 'lightning.pytorch.loggers.CSVLogger' is allowed for the trainer only: add --trust-config",
        ),
        (
            {"trainer": {"it": {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"settings": {}}}}},
            "trainer.it.settings: 'lightning.pytorch.loggers.WandbLogger' passes it on unchecked",
        ),
    ],
)
def test_what_the_list_lets_pass_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_config(Namespace(config))
    assert message in str(raised.value)


@pytest.mark.parametrize("section", ["trainer.logger", "trainer.callbacks", "trainer.plugins", "model.net", "data"])
@pytest.mark.parametrize("gadget", [popen, handler, transformer, hub])
def test_configurations_run_no_commands(
    section: str, gadget: Any, tiny: TinyRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tiny.place / "ran"
    outer, _, inner = section.partition(".")
    spec = gadget(file)
    value: Any = {inner: [spec] if inner == "callbacks" else spec} if inner else spec
    (tiny.place / "evil.json").write_text(json.dumps({outer: value}), encoding="utf-8")
    assert tiny.run("--config", "evil.json") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "run.py:" in line]
    assert len(lines) == 1
    assert section in lines[0]
    assert spec["class_path"] in lines[0]
    assert "--trust-config" in lines[0]
    time.sleep(0.1)
    assert not file.exists()


def test_checkpoints_run_no_commands(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 0
    good = torch.load(tiny.folder() / "checkpoints/best.ckpt", weights_only=True)
    file = tiny.place / "ran"
    for number, spec in enumerate((popen(file), handler(file), transformer(file), hub(file))):
        for change in ({"model": {"net": spec}}, {"data": spec}):
            evil = {**good, "darkroom": {**good["darkroom"], **change}}
            torch.save(evil, tiny.place / f"evil{number}.ckpt")
            capsys.readouterr()
            assert main(["--task", "segment", "test", "--ckpt_path", f"evil{number}.ckpt"]) == 2
            assert spec["class_path"] in capsys.readouterr().err
    time.sleep(0.1)
    assert not file.exists()


@pytest.mark.parametrize("net", ["evil.Net", {"class_path": "evil.Net"}])
def test_loading_from_python_runs_no_code(net: Any, tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tiny.run() == 0
    good = torch.load(tiny.folder() / "checkpoints/best.ckpt", weights_only=True)
    torch.save({**good, "darkroom": {**good["darkroom"], "model": {"net": net}}}, tiny.place / "evil.ckpt")
    (tiny.place / "evil.py").write_text("open('ran', 'w').close()", encoding="utf-8")
    monkeypatch.syspath_prepend(tiny.place)
    with pytest.raises(CheckpointError, match=r"evil\.Net"):
        load("evil.ckpt")
    assert not (tiny.place / "ran").exists()


@pytest.mark.slow
def test_trust_config_runs_what_is_named(tiny: TinyRuns) -> None:
    """The flag is what decides: with it, a user's own callback is built and writes its file."""
    (tiny.place / "mine.py").write_text(
        "from lightning import Callback\nclass Mine(Callback):\n"
        "    def __init__(self, file: str) -> None:\n        open(file, 'w').close()\n",
        encoding="utf-8",
    )
    (tiny.place / "mine.yaml").write_text(
        "trainer: {callbacks: [{class_path: mine.Mine, init_args: {file: ran}}], max_steps: 1}", encoding="utf-8"
    )
    root = Path(__file__).parents[1]
    words = [sys.executable, str(root / "experiments/run.py"), *tiny.words("--config", "mine.yaml")]
    environ = {**os.environ, "PYTHONPATH": f"{tiny.place}:{root}"}
    refused = subprocess.run(words, env=environ, capture_output=True, text=True, cwd=tiny.place)
    assert refused.returncode == 2
    assert not (tiny.place / "ran").exists()
    trusted = subprocess.run([*words, "--trust-config"], env=environ, capture_output=True, text=True, cwd=tiny.place)
    assert trusted.returncode == 0, trusted.stderr
    assert (tiny.place / "ran").exists()


def test_named_classes_of_lightning_are_all_there() -> None:
    for module, names in LIGHTNING_CLASSES.items():
        assert all(inspect.isclass(getattr(import_module(module), name)) for name in names)
