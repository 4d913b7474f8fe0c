"""Cross-validation over groups: one run folder with all folds, their mean and their spread."""

import json
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.index.splits import fold_of
from datamodules.loading.sampler import Key
from datamodules.segmentation.carvana import CarvanaDataModule
from datamodules.stage import Stage
from experiments.cli.folds import summarize_scores
from experiments.cli.main import main
from tests.helpers.tiny_images import carvana
from tests.helpers.tiny_run import QUIET, TinyRuns

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
STAGE = Stage(name="test", size=16, batch_size=2, epochs=1, lr=0.1, augment=False)


def test_every_group_is_in_one_fold() -> None:
    names = [f"car{number}" for number in range(13)]
    folds = [fold_of(names, folds=5, fold=number) for number in range(1, 6)]
    assert frozenset.union(*folds) == frozenset(names)
    assert sorted(map(len, folds)) == [2, 2, 3, 3, 3]
    assert sum(map(len, folds)) == 13
    with pytest.raises(DataError, match="14 folds need at least 14 groups of images, and there are 13"):
        fold_of(names, folds=14, fold=1)


def test_groups_stay_together(tmp_path: Path) -> None:
    root, seen = carvana(tmp_path / "d", cars=4, views=3), []
    for fold in (1, 2):
        data = CarvanaDataModule(root=root, cache_dir=tmp_path / "c", num_workers=0, folds=2, fold=fold)
        val = data.val_set(STAGE)
        names = [val[Key(0, index)]["name"] for index in range(len(val))]  # type: ignore[arg-type, index]
        assert len(names) == len(data.train_set(STAGE)) == 6  # type: ignore[arg-type]
        assert len({name.split("_")[0] for name in names}) == 2
        seen += names
    assert len(set(seen)) == 12
    with pytest.raises(ValueError, match="fold from 1 to folds"):
        CarvanaDataModule(root=root, folds=2, fold=3)


def test_folds_through_the_command_line(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    words = tiny.words("--folds", "2", "--name", "mine")
    assert main(words) == 0
    told = capsys.readouterr().out
    folder = tiny.folder("mine")
    content = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    dice = [
        json.loads((folder / f"fold-{number}/validate.json").read_text(encoding="utf-8"))["scores"]["val/dice"]
        for number in (1, 2)
    ]
    assert content["summary"]["val/dice"]["mean"] == pytest.approx(sum(dice) / 2)
    assert content["summary"]["val/dice"]["std"] == pytest.approx(abs(dice[0] - dice[1]) / 2**0.5)
    assert f"val/dice      {sum(dice) / 2:.4f} +-" in told
    assert "fold-1/checkpoints/best.ckpt" in told.replace("\\", "/")
    before = (folder / "fold-1/checkpoints/last.ckpt").stat().st_mtime_ns
    assert main(words) == 0
    assert "is complete" in capsys.readouterr().out
    assert (folder / "fold-1/checkpoints/last.ckpt").stat().st_mtime_ns == before
    assert main(tiny.words("--folds", "3", "--name", "mine")) == 2
    assert "holds a run of 2 folds, not 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--folds", "6"], "6 folds need at least 6 groups of images, and there are 5"),
        (["--folds", "1"], "needs at least 2 folds"),
        (["--folds", "2", "test"], "--folds is an option of fit"),
        (["--folds", "2", "--data.fold", "1"], "leave these out"),
    ],
)
def test_options_that_do_not_fit(
    words: list[str], message: str, tiny: TinyRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tiny.words(*words)) == 2
    assert message in capsys.readouterr().err


def test_other_tasks_have_no_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "sr", "--folds", "3", *QUIET]) == 2
    assert "--folds is for --task segment" in capsys.readouterr().err


def test_scores_that_a_fold_lacks_are_left_out() -> None:
    assert list(summarize_scores([{"a": 1.0, "b": 2.0}, {"a": 3.0}])) == ["a"]
