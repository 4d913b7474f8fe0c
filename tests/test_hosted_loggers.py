"""Weights & Biases (offline) and MLflow (a database) get the scalars and figures of a run, where installed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callbacks.visualization.figures import FigureLogger
from tests.helpers.tiny_run import TinyRuns

SCALARS = {"train/loss", "val/dice", "val/loss", "lr/group0", "stage/size"}
FIGURES = {"figures/training_batch", "figures/validation_1", "figures/precision_recall"}
PNGS = {"training_batch.png", "validation_1.png", "precision_recall.png"}


@pytest.fixture
def runs(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyRuns]:
    """Tiny runs that draw figures and connect to nothing."""
    monkeypatch.setattr("experiments.commands.fit_callbacks.FigureLogger", FigureLogger)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield tiny
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.teardown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the package and what it imports
def test_weights_and_biases(runs: TinyRuns) -> None:
    pytest.importorskip("wandb", reason="needs the package wandb", exc_type=ImportError)
    assert runs.run("--trainer.logger", "WandbLogger") == 0
    (place,) = (runs.folder() / "wandb").glob("offline-run-*")
    (log,) = place.glob("run-*.wandb")
    history = read_log(log)
    assert {key for entry in history for key in entry} >= SCALARS | FIGURES
    assert [0 <= entry["val/dice"] <= 1 for entry in history if "val/dice" in entry] == [True, True]  # two epochs
    assert [entry["trainer/global_step"] for entry in history if "figures/validation_1" in entry] == [2, 6]
    media = {file.relative_to(place / "files/media/images").as_posix() for file in place.rglob("*.png")}
    for figure in FIGURES:
        assert any(name.startswith(figure) for name in media), (figure, media)
    assert {file.name for file in (runs.folder() / "figures").iterdir()} >= PNGS


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of the history, from the file that ``wandb sync`` uploads."""
    from wandb.proto import wandb_internal_pb2

    entries = []
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.history.item:
            values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            entries.append(values)
    return entries


def records(content: bytes) -> Iterator[bytes]:
    """Records of a log in LevelDB's format: blocks of 32 KiB, parts with CRC (4 bytes), length (2) and type (1)."""
    place, parts = 7, b""  # behind the header of the file
    while place + 7 <= len(content):
        if 2**15 - place % 2**15 < 7:  # the rest of a block is padding
            place += 2**15 - place % 2**15
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the package and what it imports
def test_mlflow(runs: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the package mlflow", exc_type=ImportError)
    pytest.importorskip("alembic", reason="needs the package mlflow: mlflow-skinny has no database")
    assert runs.run("--trainer.logger", "MLFlowLogger") == 0
    store = runs.folder() / "mlruns"
    client = mlflow.tracking.MlflowClient(tracking_uri=f"sqlite:///{(runs.folder() / 'mlflow.db').as_posix()}")
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert set(run.data.metrics) >= SCALARS | {"train/loss/bce"}
    assert "mlflow ui --backend-store-uri sqlite:///" in capsys.readouterr().out
    assert len(client.get_metric_history(run.info.run_id, "val/dice")) == 2  # one for each epoch
    images = " ".join(file.as_posix() for file in store.rglob("images/*"))
    for figure in FIGURES:
        assert figure.rpartition("/")[2] in images, (figure, images)
    assert {file.name for file in (runs.folder() / "figures").iterdir()} >= PNGS
