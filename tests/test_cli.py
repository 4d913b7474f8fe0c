"""Commands through the real command line: settings, runs, checkpoints, errors, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from callbacks.visualization.figures import FigureLogger
from experiments.cli.main import main
from lightning_modules.segmentation import SegmentationModule
from tests.helpers.tiny_run import QUIET, PretrainedNet, TinyRuns, interrupt_at

ROOT = Path(__file__).parents[1]


def weights(file: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(file, weights_only=True)["state_dict"]
    return state


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def printed_config(tiny: TinyRuns, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert tiny.run(*words, "--print_config") == 0
    config: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return config


def write(path: Path, settings: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return str(path)


def test_fit_writes_one_folder_and_prints_next_steps(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.commands.fit_callbacks.FigureLogger", FigureLogger)
    assert tiny.run() == 0
    folder = tiny.folder()
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {
        "best.ckpt",
        "last.ckpt",
        "stage-1.ckpt",
        "stage-2.ckpt",
    }
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert list((folder / "figures").glob("validation_*.png"))
    out = capsys.readouterr().out
    for text in (
        "best val/dice 0.",
        "of 2 (stage large, 48 px)",
        "checkpoint  runs/segment/sample/checkpoints/best.ckpt",
        "figures     runs/segment/sample/figures",
        "tensorboard --logdir runs/segment/sample\n",
        "--task segment predict --ckpt_path runs/segment/sample/checkpoints/best.ckpt YOUR_IMAGES",
        "--task segment --config runs/segment/sample/config.yaml --init_from runs/segment/sample/checkpoints/best.ckpt",
    ):
        assert text in out


def test_saved_configuration_repeats_the_run(tiny: TinyRuns) -> None:
    assert tiny.run("--stages.0.lr", "2e-2", "--seed_everything", "7") == 0
    config = tiny.folder() / "config.yaml"
    assert "ckpt_path" not in config.read_text(encoding="utf-8")
    assert main(["--task", "segment", "--config", str(config)]) == 0
    assert same(tiny.folder() / "checkpoints/last.ckpt", tiny.folder("sample-2") / "checkpoints/last.ckpt")
    assert (tiny.folder("sample-2") / "config.yaml").read_text() == config.read_text()
    assert main(["--task", "segment", "--config", str(config), "--seed_everything", "8"]) == 0
    assert not same(tiny.folder() / "checkpoints/last.ckpt", tiny.folder("sample-3") / "checkpoints/last.ckpt")


def test_settings_are_merged_in_order(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    """Recipe < the user's files in their order < flags, in any position."""
    first = write(tiny.place / "1.yaml", {"trainer": {"max_epochs": 11, "max_steps": 12}, "data": {"rotate": 2.0}})
    second = write(tiny.place / "2.yaml", {"trainer": {"max_epochs": 21}})
    config = printed_config(
        tiny,
        capsys,
        "--trainer.min_epochs",
        "31",
        "--config",
        first,
        "--config",
        second,
        "--trainer.max_time=00:01:00:00",
    )
    trainer = config["trainer"]
    assert (trainer["min_epochs"], trainer["max_epochs"], trainer["max_steps"]) == (31, 21, 12)
    assert config["data"]["init_args"]["rotate"] == 2.0  # given without init_args
    assert config["data"]["init_args"]["root"] == str(tiny.place / "cars")
    assert config["model"]["dice_weight"] == 1.0  # the recipe's
    over = printed_config(tiny, capsys, "--trainer.max_epochs", "41", "--config", second)
    assert over["trainer"]["max_epochs"] == 41


def test_stages_of_a_file_replace_those_of_the_recipe(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage without ``frozen`` is not frozen, even if the recipe's stage at that index is."""
    mine = [{"name": "mine", "size": 16, "batch_size": 2, "epochs": 1, "lr": 1e-3}]
    config = printed_config(tiny, capsys, "--config", write(tiny.place / "mine.yaml", {"stages": mine}))
    (stage,) = config["stages"]
    assert (stage["name"], stage["frozen"], stage["lr"]) == ("mine", 0, 1e-3)
    (flagged,) = printed_config(tiny, capsys, "--stages", json.dumps(mine))["stages"]
    assert flagged == stage


def test_stage_fields_as_flags(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    config = printed_config(
        tiny, capsys, "--stages.all.batch_size", "1", "--stages.1.lr=3e-2", "--stages.1.frozen", "1"
    )
    small, large = config["stages"]
    assert (small["batch_size"], small["lr"], small["frozen"]) == (1, 1e-2, "encoder")
    assert (large["batch_size"], large["lr"], large["frozen"]) == (1, 3e-2, 1)


def test_interrupted_run_resumes_and_finished_run_reports_it(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run("--name", "whole") == 0
    with monkeypatch.context() as patch:
        interrupt_at(4, patch)  # in the middle of the second stage's epoch
        assert tiny.run("--name", "cut") == 75
    assert "--task segment --resume runs/segment/cut\n" in capsys.readouterr().out
    assert torch.load(tiny.folder("cut") / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 5
    assert main(["--task", "segment", "--resume"]) == 0  # the newest run is the cut one; its folder knows the rest
    assert same(tiny.folder("whole") / "checkpoints/last.ckpt", tiny.folder("cut") / "checkpoints/last.ckpt")
    assert sorted(run.name for run in tiny.folder().parent.iterdir()) == ["cut", "whole"]
    capsys.readouterr()
    assert main(["--task", "segment", "--resume", str(tiny.folder("whole"))]) == 0
    assert "runs/segment/whole is complete, all 2 epochs are trained" in capsys.readouterr().out


def test_damaged_last_checkpoint_is_skipped_with_a_warning(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 0
    last = tiny.folder() / "checkpoints/last.ckpt"
    last.unlink()  # it shares its bytes with the other names
    last.write_bytes(b"")
    assert main(["--task", "segment", "--resume"]) == 0
    assert "skipped as damaged: runs/segment/sample/checkpoints/last.ckpt (0 bytes" in capsys.readouterr().out


def test_network_is_restored_from_the_checkpoint_alone(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    """No recipe is needed, and pretrained weights are not loaded."""
    assert tiny.run() == 0
    checkpoint = tiny.place / "moved.ckpt"
    checkpoint.write_bytes((tiny.folder() / "checkpoints/best.ckpt").read_bytes())
    for words in (["validate", "--recipe", "camvid"], ["validate"]):
        capsys.readouterr()
        assert main(["--task", "segment", *words, "--ckpt_path", str(checkpoint), *QUIET]) == 0
        scores = json.loads((tiny.folder("moved") / "validate.json").read_text())
        assert scores["size"] == 48
        best = torch.load(checkpoint, weights_only=True)["callbacks"]
        saved = next(state for key, state in best.items() if key.startswith("RunCheckpoint"))
        assert scores["scores"]["val/dice"] == pytest.approx(saved["best_score"])


def test_test_uses_the_best_checkpoint_of_the_newest_run(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 0
    assert main(["--task", "segment", "test", *QUIET]) == 0
    content = json.loads((tiny.folder() / "test.json").read_text())
    assert content["checkpoint"] == "best.ckpt"
    dice = [row["dice"] for row in content["images"]]
    assert dice == sorted(dice)
    assert content["scores"]["test/dice"] == pytest.approx(sum(dice) / len(dice))
    assert "measured runs/segment/sample/checkpoints/best.ckpt at 48 px" in capsys.readouterr().out


def test_init_from_loads_weights_only(tiny: TinyRuns) -> None:
    assert tiny.run() == 0
    best = tiny.folder() / "checkpoints/best.ckpt"
    frozen = ("--stages.all.frozen", "encoder", "--trainer.max_steps", "1")
    assert tiny.run("--init_from", str(best), *frozen) == 0
    last = tiny.folder("sample-2") / "checkpoints/last.ckpt"
    before, after = weights(best), weights(last)
    assert torch.equal(before["net.encoder.weight"], after["net.encoder.weight"])
    assert not torch.equal(before["net.decoder.weight"], after["net.decoder.weight"])
    assert torch.load(last, weights_only=True)["global_step"] == 1
    # The configuration knows where it began, so it repeats this run too.
    assert yaml.safe_load((tiny.folder("sample-2") / "config.yaml").read_text())["init_from"] == str(best)


def test_pretrained_weights_are_loaded_only_when_used(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PretrainedNet, "asked", [])
    net = ("--model.net", "tests.helpers.tiny_run.PretrainedNet", "--model.net.pretrained", "auto")
    best = str(tiny.folder() / "checkpoints/best.ckpt")
    for words in ([], ["--init_from", best], ["prepare"]):
        assert tiny.run(*net, *words) == 0
    assert main(["--task", "segment", "validate", "--ckpt_path", best, *QUIET]) == 0
    assert PretrainedNet.asked == ["auto", "none", "none", "none"]
    saved = yaml.safe_load((tiny.folder("sample-2") / "config.yaml").read_text())
    assert saved["model"]["net"]["init_args"]["pretrained"] == "auto"  # what was asked for, not what came of it


def test_averaged_weights(tiny: TinyRuns) -> None:
    """The average is saved and scored; a decay of 1, which would keep the initial weights, is refused."""
    assert tiny.run("--ema.decay", "1.0") == 2
    assert tiny.run("--ema.decay", "0.99") == 0
    saved = torch.load(tiny.folder() / "checkpoints" / "stage-2.ckpt", weights_only=True)
    average, last = (next(iter(saved[key].values())) for key in ("state_dict", "current_model_state"))
    assert not torch.equal(average, last)


def test_lr_find_saves_its_plot(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("lr-find", "--steps", "25", "--stage", "1") == 0
    out = capsys.readouterr().out
    assert "suggested for stage 'large': --stages.1.lr " in out
    assert (tiny.folder() / "lr_find.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tiny.folder().iterdir()] == ["lr_find.png"]


def test_prepare_does_not_train(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("prepare") == 0
    assert "the data is prepared at 32, 48 px" in capsys.readouterr().out
    assert not (tiny.place / "runs").exists()
    assert any((tiny.place / "cache").iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.rot", "x"], "unknown key 'data.rot': did you mean 'root'? CarvanaDataModule has: image_dir"),
        (["--trainer.max_epoch", "3"], "unknown key 'trainer.max_epoch': did you mean 'trainer.max_epochs'?"),
        (["--trainer.max_epochs", "x"], "trainer.max_epochs: expected int or null, not 'x'"),
        (["--model.treshold", "0.4"], "unknown key 'model.treshold': did you mean 'model.threshold'?"),
        (["--model.threshold", "2"], "threshold must lie between 0 and 1, not 2.0"),
        (["--model.net", "UNett"], "model.net: there is no class 'UNett'"),
        (["--model.net", "os.system"], "model.net: 'os.system' is not one of the classes"),
        (["--trainer.logger", "elsewhere.Logger"], "'elsewhere.Logger' is not one of the classes"),
        (["--bogus", "3"], "unknown key 'bogus'"),
        (["--stages.0.epoch", "3"], "unknown stage field 'epoch': did you mean 'epochs'?"),
        (["--stages.5.epochs", "3"], "there is no stage 5. There are: 0 (small), 1 (large)"),
        (["--stages.0.epochs", "0"], "stage 'small': epochs must be at least 1, not 0"),
        (["--stages.0.lr", "fast"], "stages.lr: expected float, not 'fast'"),
        (["--stages", "x"], "stages: expected a list"),
        (["--stages", "[]"], "stages is empty"),
        (["--stages", "[{name: a, size: 8}]"], "stages: batch_size, epochs, lr must be given"),
        (["--config", "nope.yaml"], "there is no configuration file nope.yaml"),
        (["--data.root", "nowhere"], "the data root nowhere is not a folder"),
        (["--init_from", "x.ckpt"], "there is no checkpoint x.ckpt"),
        (["--init_from", "http://x/y.ckpt"], "is a URL"),
        (["--resume"], "there is no run of segment in runs/segment yet"),
        (["test"], "there is no run of segment in runs/segment yet"),
        (["test", "--ckpt_path", "bset"], "there is no checkpoint 'bset': did you mean 'best'?"),
        (["lr-find", "--stage", "2"], "--stage 2: there are stages 0 to 1"),
        (["lr-find", "--min_lr", "1", "--max_lr", "0.1"], "--min_lr 1 must be above 0 and below --max_lr 0.1"),
    ],
)
def test_user_mistake_is_one_line(
    tiny: TinyRuns, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run(*words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "run.py:" in line]
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainer: {max_epoch: 3}", "unknown key 'trainer.max_epoch': did you mean 'trainer.max_epochs'?"),
        ("datas: {root: x}", "unknown key 'datas.root': did you mean 'data'?"),
        ("stages: [{name: a, size: 8, batchsize: 4}]", "unknown key 'stages.batchsize': did you mean 'batch_size'?"),
        ("stages: [{name: a", "cannot be read as YAML"),
        ("just words", "contains no settings"),
        ('!!python/object/apply:os.system ["touch ran"]', "could not determine a constructor for the tag"),
        ("trainer: {callbacks: [{class_path: subprocess.Popen}]}", "'subprocess.Popen' is not one of the classes"),
        ("model: {net: {class_path: torchevil.Net}}", "'torchevil.Net' is not one of the classes"),
        # reached through a module of a trusted package
        ("trainer: {logger: {class_path: torch.multiprocessing.sys.exit}}", "is not one of the classes"),
        (
            "trainer: {callbacks: [{class_path: lightning.pytorch.callbacks.LambdaCallback,"
            " init_args: {on_train_start: os.system}}]}",
            "'lightning.pytorch.callbacks.LambdaCallback' is not one of the classes",
        ),
        ("model: {net: {class_path: torch.hub.load}}", "'torch.hub.load' is not one of the classes"),
    ],
)
def test_mistake_in_a_file_is_one_line(
    tiny: TinyRuns, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny.place / "mine.yaml").write_text(text, encoding="utf-8")
    assert tiny.run("--config", "mine.yaml") == 2
    assert message in capsys.readouterr().err
    assert not (tiny.place / "ran").exists()


def test_foreign_checkpoint_is_refused(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 0
    good = torch.load(tiny.folder() / "checkpoints/best.ckpt", weights_only=True)
    for change, message in (
        ({"task": "style"}, "is a checkpoint of the task 'style': use --task style"),
        ({"format": 99}, "has format 99, this version of Darkroom reads format 2"),
    ):
        torch.save({**good, "darkroom": good["darkroom"] | change}, tiny.place / "other.ckpt")
        assert main(["--task", "segment", "test", "--ckpt_path", "other.ckpt"]) == 2
        assert message in capsys.readouterr().err
    torch.save(good["state_dict"], tiny.place / "other.ckpt")
    assert main(["--task", "segment", "test", "--ckpt_path", "other.ckpt"]) == 2
    assert "is not a checkpoint of Darkroom" in capsys.readouterr().err
    smaller = {**good["state_dict"], "net.decoder.weight": torch.zeros(1, 5, 1, 1)}
    torch.save({**good, "state_dict": smaller}, tiny.place / "other.ckpt")
    assert main(["--task", "segment", "test", "--ckpt_path", "other.ckpt"]) == 2
    assert "'net.decoder.weight' is (1, 5, 1, 1) in the file and (1, 4, 1, 1)" in capsys.readouterr().err


def test_internal_errors_keep_their_traceback(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: SegmentationModule, batch: Any) -> Tensor:
        raise KeyError("a slip of ours")

    monkeypatch.setattr(SegmentationModule, "training_step", broken)
    with pytest.raises(KeyError, match="a slip of ours"):
        tiny.run()


def test_non_finite_loss_ends_with_exit_code_1(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = SegmentationModule.training_step
    monkeypatch.setattr(SegmentationModule, "training_step", lambda self, batch: step(self, batch) * torch.nan)
    assert tiny.run() == 1
    assert "run.py: the loss is nan at step 1" in capsys.readouterr().err


@pytest.mark.slow
def test_trust_config_allows_other_packages(tiny: TinyRuns) -> None:
    """In a separate process, because allowed imports are set once per process."""
    (tiny.place / "elsewhere.py").write_text(
        "from tests.helpers.tiny_segment import DiscNet as Net\n", encoding="utf-8"
    )
    words = tiny.words("--model.net", "elsewhere.Net", "--print_config")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tiny.place), str(ROOT)])}
    script = [sys.executable, str(ROOT / "experiments/run.py")]
    refused = subprocess.run([*script, *words], env=environ, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "add --trust-config if you trust it" in refused.stderr
    trusted = subprocess.run([*script, *words, "--trust-config"], env=environ, capture_output=True, text=True)
    assert trusted.returncode == 0, trusted.stderr
    assert yaml.safe_load(trusted.stdout)["model"]["net"]["class_path"] == "elsewhere.Net"


def test_help_all_lists_all_options(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("lr-find", "--help_all") == 0
    out = capsys.readouterr().out
    for option in ("--min_lr", "--trainer.accumulate_grad_batches", "--model.dice_weight", "--ema.decay"):
        assert option in out


@pytest.mark.slow
def test_two_processes_share_one_folder(tiny: TinyRuns) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = tiny.words("--trainer.devices", "2", "--trust-config")
    done = subprocess.run(
        [sys.executable, str(ROOT / "experiments/run.py"), *words], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [run.name for run in tiny.folder().parent.iterdir()] == ["sample"]
    assert done.stdout.count("what next:") == 1
