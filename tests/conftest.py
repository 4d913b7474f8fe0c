"""Settings every test shares."""

import os
import urllib.error
import urllib.request
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the registry, 2 s when offline

import pytest
import torch
from jsonargparse import set_parsing_settings
from lightning import Callback

from tests.helpers.tiny_run import TinyRuns

# On two cores the suite is 4x faster with one thread: the tensors are small and the pools fight.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes back what a run decides for the processes it starts, so that the next test has a run of its own."""
    monkeypatch.setenv("DARKROOM_RUN_FOLDER", "")


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache of torch hub, and no network."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(urllib.request, "urlopen", fail)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyRuns:
    """A fresh working directory for segmentation runs without figures; configurations may name classes of the tests."""
    set_parsing_settings(import_path_allowlist=["tests.helpers"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.commands.fit_callbacks.FigureLogger", lambda *_args, **_settings: Callback())
    return TinyRuns(tmp_path)
