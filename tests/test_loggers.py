"""Every logger gets scalars, hyperparameters and figures; what it writes lies in the run's folder."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger

from callbacks.visualization.figures import FigureLogger
from experiments.cli.main import main
from tests.helpers.tiny_run import TinyRuns
from tests.helpers.tiny_segment import disc_figures, fit_discs

TAGS = {"train/loss", "val/dice", "lr/group0", "stage/size", "speed/images_per_second", "hp/dice"}
PNGS = {"training_batch.png", "precision_recall.png", "validation_1.png", "validation_2.png", "worst_1.png"}


@pytest.fixture
def runs(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> TinyRuns:
    """Tiny runs that draw figures."""
    monkeypatch.setattr("experiments.commands.fit_callbacks.FigureLogger", FigureLogger)
    return tiny


def figures(folder: Path) -> set[str]:
    return {file.name for file in (folder / "figures").iterdir()}


def test_a_csv_log_lies_in_the_runs_folder_and_has_all_scalars(
    runs: TinyRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs.run("--trainer.logger", "CSVLogger") == 0
    log = runs.folder() / "lightning_logs/version_0"
    with (log / "metrics.csv").open(encoding="utf-8", newline="") as file:
        assert set(csv.DictReader(file).fieldnames or ()) >= TAGS
    assert yaml.safe_load((log / "hparams.yaml").read_text(encoding="utf-8"))["stages.size"] == "32, 48"
    assert figures(runs.folder()) >= PNGS
    assert not list(runs.place.rglob("events.out.tfevents.*"))
    out = capsys.readouterr().out
    assert "log         runs/segment/sample/lightning_logs/version_0" in out
    assert "tensorboard" not in out


def test_a_run_repeated_from_its_configuration_logs_into_its_own_folder(runs: TinyRuns) -> None:
    two = "[{class_path: CSVLogger}, {class_path: TensorBoardLogger}]"
    assert runs.run(f"--trainer.logger={two}") == 0
    assert len(list(runs.folder().glob("events.out.tfevents.*"))) == 1
    before = {file: file.stat().st_mtime_ns for file in runs.folder().rglob("*")}
    assert main(["--task", "segment", "--config", str(runs.folder() / "config.yaml"), "--name", "again"]) == 0
    assert (runs.folder("again") / "lightning_logs/version_0/metrics.csv").is_file()
    assert len(list(runs.folder("again").glob("events.out.tfevents.*"))) == 1
    assert {file: file.stat().st_mtime_ns for file in runs.folder().rglob("*")} == before


def test_a_folder_that_the_user_names_is_kept(runs: TinyRuns) -> None:
    assert runs.run("--trainer.logger=CSVLogger", "--trainer.logger.save_dir=logs") == 0
    assert (runs.place / "logs/lightning_logs/version_0/metrics.csv").is_file()


def test_figures_are_saved_without_a_logger(runs: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs.run("--trainer.logger=false") == 0
    assert figures(runs.folder()) >= PNGS
    out = capsys.readouterr().out
    assert "tensorboard" not in out
    assert "  log  " not in out


class Gallery(CSVLogger):
    """A logger that takes images the way ``WandbLogger`` does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.images: dict[str, Any] = {}

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        self.images[key] = images[0]


def test_a_logger_that_takes_images_gets_the_figures(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    fit_discs(tmp_path, [disc_figures(None, fixed=1, worst=0)], logger=gallery)
    assert set(gallery.images) == {"figures/training_batch", "figures/validation_1", "figures/precision_recall"}
    assert gallery.images["figures/validation_1"].shape == (576, 972, 3)


@pytest.mark.parametrize("uri", ["file:./mlruns", "mlruns", "/tmp/mlruns", r"C:\mlruns"])
def test_mlflow_may_not_write_into_a_folder(runs: TinyRuns, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs.run("--trainer.logger=MLFlowLogger", f"--trainer.logger.tracking_uri={uri}") == 2
    error = capsys.readouterr().err
    assert "sqlite:///mlflow.db" in error
    assert "Traceback" not in error
