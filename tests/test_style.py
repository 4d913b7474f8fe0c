"""Style through the real command line: runs, scores, resume, other weights, bad input."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments.cli.main import main
from lightning_modules.style import StyleModule
from tests.helpers.style_words import FIT, LARGE, SMALL, TASK
from tests.helpers.tiny_images import noise, save, save_images
from tests.helpers.tiny_segment import read_events

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with images, two paintings and a run of two stages."""
    folder = tmp_path_factory.mktemp("style")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        save_images(folder / "images", 12, 60, 70)
        save(folder / "painting.png", noise(50, 80, 100) // 2)
        save(folder / "other.png", 128 + noise(51, 80, 100) // 2)
        assert main([*FIT, "--name=both", f"--stages=[{SMALL}, {LARGE}]"]) == 0
        yield folder


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / name, weights_only=True)["state_dict"]
    return state


def test_two_stages_log_loss_parts_scores_and_images(trained: Path) -> None:
    run = trained / "runs/style/both"
    events = read_events(run)
    scalars = set(events.Tags()["scalars"])
    assert {"val/relative", "val/loss", "val/loss/content", "train/loss", "train/loss/content"} <= scalars
    assert sum(tag.startswith("train/loss/style_") for tag in scalars) == 4
    assert [event.value for event in events.Scalars("stage/size")][-1] == 48
    assert {"figures/validation_1", "figures/training_batch"} <= set(events.Tags()["images"])
    first, last = (weights(run / "checkpoints", f"stage-{number}.ckpt") for number in (1, 2))
    grams = [name for name in first if "gram" in name]
    assert len(grams) == 5  # of four layers and of colors
    assert all(torch.equal(first[name], last[name]) and first[name].any() for name in grams)
    assert not any("features" in name for name in first)  # the VGG is in no checkpoint
    assert not torch.equal(first["net.tail.weight"], last["net.tail.weight"])


def test_test_table_compares_with_untouched_images(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TASK, "test", "--name=both"]) == 0
    told = capsys.readouterr().out
    assert "untouched" in told
    report = json.loads((trained / "runs/style/both/test.json").read_text())
    rows = report["images"]
    assert report["scores"]["test/loss"] == pytest.approx(sum(row["loss"] for row in rows) / len(rows))
    assert rows[0]["relative"] == pytest.approx(rows[0]["loss"] / rows[0]["untouched"], rel=1e-4)


def test_validate_repeats_the_best_score_of_the_run(trained: Path) -> None:
    assert main([*TASK, "validate", "--name=both"]) == 0
    report = json.loads((trained / "runs/style/both/validate.json").read_text())
    logged = [event.value for event in read_events(trained / "runs/style/both").Scalars("val/relative")]
    assert report["scores"]["val/relative"] == pytest.approx(logged[-1], rel=1e-4)  # the best is of the last stage


def test_resumed_run_equals_the_uninterrupted_run(trained: Path) -> None:
    with pytest.warns(UserWarning, match="ends the run before its stages do"):
        assert main([*FIT, f"--stages=[{SMALL}, {LARGE}]", "--name=cut", "--trainer.max_epochs=1"]) == 0
    assert main([*TASK, "--resume", "runs/style/cut", "--trainer.max_epochs=2"]) == 0
    whole, cut = (weights(trained, f"runs/style/{name}/checkpoints/last.ckpt") for name in ("both", "cut"))
    for name, value in whole.items():
        torch.testing.assert_close(cut[name], value, rtol=0, atol=0)


def test_new_painting_starts_from_existing_weights(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--init_from=runs/style/both/checkpoints/last.ckpt", "--data.style_image=other.png", "--name=moved"]
    assert main([*FIT, *words, f"--stages=[{SMALL.replace('0.001', '1e-12')}]"]) == 0
    assert "weights from runs/style/both/checkpoints/last.ckpt" in capsys.readouterr().out
    first, moved = (weights(trained, f"runs/style/{name}/checkpoints/last.ckpt") for name in ("both", "moved"))
    for name, value in first.items():
        if name.startswith("net.") and "running" not in name and "tracked" not in name:
            torch.testing.assert_close(moved[name], value, rtol=0, atol=1e-6)
        elif "gram" in name:
            assert not torch.equal(moved[name], value)


def test_predict_keeps_the_image_size(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(trained / "odd.png", noise(7, 61, 83))
    assert main([*TASK, "predict", "--name=both", "--out=painted", "odd.png"]) == 0
    (file,) = (trained / "painted").rglob("odd.png")
    with Image.open(file) as image:
        assert image.size == (83, 61)
    assert "trained with random VGG features" in capsys.readouterr().out


def test_gatys_uses_the_painting_of_a_run(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(trained / "odd.png", noise(7, 61, 83))
    words = ["gatys", "--ckpt_path=runs/style/both/checkpoints/last.ckpt", "--content=odd.png"]
    assert main([*TASK, *words, "--size=48", "--iterations=20"]) == 0
    told = capsys.readouterr().out
    assert "image: odd.png, resized to 65 x 48 px" in told
    numbers = re.search(r"untouched ([\d.]+), after 20 iterations ([\d.]+)", told)
    assert numbers is not None
    assert float(numbers[2]) < 0.7 * float(numbers[1])
    file = Path(told.splitlines()[-1].removeprefix("image: "))
    assert file.name == "odd_gatys_random_features.png"  # such features are named wherever a result is
    with Image.open(file) as image:
        assert image.size == (65, 48)


def test_lr_find_calibrates_the_loss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated: list[bool] = []

    def record(module: StyleModule) -> None:
        calibrated.append(module.loss.calibrated)

    monkeypatch.setattr(StyleModule, "on_train_start", record, raising=False)
    assert main([*FIT, "lr-find", "--name=finder", f"--stages=[{SMALL}]", "--steps=15"]) == 0
    assert "curve: runs/style/finder/lr_find.png" in capsys.readouterr().out
    assert calibrated == [True]


def test_show_draws_batches_and_validation_results(trained: Path) -> None:
    assert main([*TASK, "show", "--name=both", "--ckpt_path=best", "--out=drawn"]) == 0
    drawn = {path.name for path in (trained / "drawn").iterdir()}
    assert drawn == {"batch-1-small.png", "batch-2-large.png", "worst.png"}  # one image is held out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.tile=64"], "tile=64 is too small for a net that sees 28 px around each pixel: at least 152"),
        (["--model.net.norm=layer"], "model.net.norm"),
        (["--model.loss.layer_weights=[1, 2]"], "layer_weights has 2 numbers for 4 layers: one for each"),
        (["--data.style_image=gone.png"], "gone.png"),
    ],
)
def test_mistakes_are_one_line_before_the_first_step(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([*FIT, "--name=never", f"--stages=[{SMALL}]", *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("run.py: ")
    assert message in told
