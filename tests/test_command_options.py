"""Options of the command line mean what they say: limits, class names, aliases, seeds, and the full help."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

from experiments.cli.main import main
from tests.helpers.tiny_run import TinyRuns

ROOT = Path(__file__).parents[1]


def printed(tiny: TinyRuns, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert tiny.run(*words, "--print_config") == 0
    config: dict[str, object] = yaml.safe_load(capsys.readouterr().out)
    return config


@pytest.mark.parametrize("name", ["train", "val", "test", "predict"])
def test_one_batch_is_not_all_batches(tiny: TinyRuns, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    option = f"--trainer.limit_{name}_batches"
    for given, expected in (("1", 1), ("1.0", 1.0), ("0.5", 0.5)):
        trainer = printed(tiny, capsys, option, given)["trainer"]
        assert isinstance(trainer, dict)
        value = trainer[f"limit_{name}_batches"]
        assert (value, type(value)) == (expected, type(expected))


def test_one_batch_is_trained(tiny: TinyRuns) -> None:
    assert tiny.run("--trainer.limit_train_batches", "1") == 0
    last = torch.load(tiny.folder() / "checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 2  # one in each of the two stages of one epoch


@pytest.mark.parametrize(
    "words",
    [
        ["--data", "FolderDataModule", "--data.classes", "dog"],
        ["--data.classes", "[dog]", "--data.class_path", "FolderDataModule"],
        ["--data.classes=dog", "--data=datamodules.segmentation.folder.FolderDataModule"],
        ["--data", "{class_path: FolderDataModule, init_args: {classes: dog}}"],
    ],
)
def test_a_class_is_found_by_its_short_name_in_any_order(
    tiny: TinyRuns, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = printed(tiny, capsys, *words)["data"]
    assert isinstance(data, dict)
    assert data["class_path"] == "datamodules.FolderDataModule"
    assert data["init_args"]["classes"] in ("dog", ["dog"])


def test_short_names_in_files(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny.place / "mine.yaml").write_text("data: {class_path: FolderDataModule, init_args: {classes: [dog]}}\n")
    data = printed(tiny, capsys, "--config", "mine.yaml")["data"]
    assert isinstance(data, dict)
    assert data["class_path"] == "datamodules.FolderDataModule"


def test_settings_of_a_class_may_be_null(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny.place / "null.yaml").write_text("data: {init_args: null}\nmodel: {net: {init_args: null}}\n")
    printed(tiny, capsys, "--config", "null.yaml")


def test_common_names_of_options(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    config = printed(tiny, capsys, "--epochs", "7", "--batch-size=3", "--lr", "5e-4", "--seed", "9")
    stages = config["stages"]
    assert isinstance(stages, list)
    assert [(stage["epochs"], stage["batch_size"], stage["lr"]) for stage in stages] == [(7, 3, 5e-4)] * 2
    assert config["seed_everything"] == 9


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.search(r"^torch \d+\.\d+", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed_everything", "true"], "seed_everything: expected a number from 0 to 4294967295, not true"),
        (["--seed_everything=-1"], "seed_everything: expected a number from 0 to 4294967295, not -1"),
        (["--checkpoint.every_n_steps", "-1"], "checkpoint.every_n_steps must be 0 or more, not -1"),
        (["--trainer.log_every_n_steps", "0"], "trainer.log_every_n_steps must be at least 1, not 0"),
        (["--trainer.accumulate_grad_batches", "0"], "trainer.accumulate_grad_batches must be at least 1, not 0"),
        (["--trainer.check_val_every_n_epoch", "0"], "trainer.check_val_every_n_epoch must be at least 1, not 0"),
        (["--trainer.val_check_interval", "0"], "trainer.val_check_interval must be above 0, not 0"),
        (["--trainer.max_epochs", "0"], "trainer.max_epochs is 0: nothing would be trained"),
        (["--trainer.max_steps", "0"], "trainer.max_steps is 0: nothing would be trained"),
        (["--trainer.limit_train_batches", "0"], "trainer.limit_train_batches is 0: nothing would be trained"),
        (["--data.num_workers", "-1"], "num_workers must be at least 0 or 'auto', not -1"),
        (["--trainer.max_epochs", "9"], "the stages have 2 epochs: set the epochs of the stages instead, for example "),
        (["--trainer.strategy", "ddp_spawn"], "trainer.strategy: ranks are started as programs of their own"),
        (["--trainer.strategy", "ddp_fork"], "use --trainer.strategy ddp"),
        (["--trainer.val_check_interval", "99"], "`val_check_interval` (99) must be less than or equal"),
        (["--trainer.limit_val_batches", "0.1"], "You requested to check 0.1 of the `val_dataloader`"),
        (["--stages", "[1, 2]"], "stages: expected a list like [{name: a, size: 128"),
        (["--stages.0.epochs", "[1"], "--stages.0.epochs: '[1' cannot be read as YAML"),
        (["--model.net", "{class_path: UNet, init_args: 3}"], "init_args: expected arguments by name"),
        (["--trainer.logger", "{class_path: 3}"], "class_path: expected the name of a class"),
        (["--trainer.logger", "wandb"], "trainer.logger: there is no class 'wandb': did you mean WandbLogger?"),
        (["--trainer.logger=CSVLogger", "--trainer.logger.flush_logs_every_n_steps=0"], "must be at least 1"),
        (["--num_workers", "2"], "unknown key 'num_workers': did you mean 'data.num_workers'?"),
        (["--trainer.logger", "[3]"], "trainer.logger: expected a class of the kind Logger"),
        (["--model", "x"], "model: expected settings in braces, or an existing YAML file, not 'x'"),
        (["--data.on_bad", "skp"], "data.on_bad: expected 'error' or 'skip' or null, not 'skp'"),
        (["--stages.1.frozen", "9"], "stage 'large': frozen=9 leaves nothing to train: the net has 2 layer groups"),
        (["--stages.1.lr_scale", "[1, 2, 3]"], "stage 'large': lr_scale has 3 factors and the net 2 layer groups"),
        (["lr-find", "--stages.0.frozen", "9"], "stage 'small': frozen=9 leaves nothing to train"),
        (["lr-find", "--steps", "0"], "--steps must be at least 2, not 0"),
        (
            ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val_loss"],
            "Early stopping conditioned on metric `val_loss` which is not available",
        ),
        (
            ["--data", "FolderDataModule", "--data.classes", "[no, yes]"],
            "data.classes: expected str or null, not 'False' (YAML reads yes, no, on and off as true and false",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tiny: TinyRuns, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run(*words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("run.py: ")]
    assert message in line


def the_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("run.py: ")]
    return line


def test_what_a_constructor_refuses_is_printed_alone(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    stopping = ("--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=x", "--trainer.callbacks.mode=y")
    assert tiny.run(*stopping) == 2
    assert the_line(capsys) == "run.py: `mode` can be min, max, got y"


@pytest.mark.parametrize("kind", ["[{}]", "[{}, {{class_path: CSVLogger}}]"])
def test_what_one_of_several_constructors_refuses(
    tiny: TinyRuns, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """jsonargparse tries the other types of the value after that, whose errors say nothing."""
    logger = kind.format("{class_path: MLFlowLogger, init_args: {log_model: sometimes}}")
    assert tiny.run("--trainer.logger", logger) == 2
    assert "log_model" in the_line(capsys)
    if find_spec("mlflow") is None:
        assert tiny.run("--trainer.logger", kind.format("{class_path: MLFlowLogger}")) == 2
        assert re.fullmatch(r"run\.py: Requirement 'mlflow.*pip install -U 'mlflow.*", the_line(capsys))


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_a_logger_that_is_not_installed(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("--trainer.logger", "WandbLogger") == 2
    assert re.fullmatch(r"run\.py: Requirement 'wandb.*pip install -U 'wandb.*", the_line(capsys))


def test_no_step_between_saves(tiny: TinyRuns) -> None:
    assert tiny.run("--checkpoint.every_n_steps", "0") == 0
    assert (tiny.folder() / "checkpoints/last.ckpt").is_file()


def test_the_full_help_lists_the_selected_classes(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "segment", "--help_all"]) == 0
    out = capsys.readouterr().out
    for option in ("--data.root", "--data.val_share", "--model.net.encoder", "--stages.0.lr_scale", "--ema.decay"):
        assert f"  {option} " in out
    assert "torch.nn." not in out
    assert "seed of the run, a whole number" in out
    assert "random seed" not in " ".join(out.split())


@pytest.mark.parametrize("command", ["predict", "test", "export", "compare"])
def test_the_full_help_needs_no_run(tiny: TinyRuns, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "segment", command, "--help_all"]) == 0
    assert f"All options of --task segment {command}." in capsys.readouterr().out


def test_a_name_that_cannot_be_encoded_is_printed(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from experiments.cli.output_streams import tolerate_closed_output\n"
        "tolerate_closed_output()\n"
        "print('caf\\udce9 \\u2713')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=True
    )
    assert done.stdout == rb"caf\udce9 \u2713" + b"\n"


def test_a_run_is_found_beside_a_folder_of_its_name(tiny: TinyRuns) -> None:
    (tiny.place / "cars").rename(tiny.place / "dogs")
    root = ("--data.root", str(tiny.place / "dogs"))
    assert tiny.run("--name", "dogs", *root) == 0
    assert main(["--task", "segment", "test", "--name", "dogs", *root]) == 0
    assert (tiny.folder("dogs") / "test.json").is_file()
    assert main(["--task", "segment", "--resume", "dogs"]) == 0
