"""Settings and fixtures of all tests."""

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
def no_run_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resets the run folder that a run sets for its ranks, so that the next test has its own."""
    monkeypatch.setenv("DARKROOM_RUN_FOLDER", "")


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty torch hub cache and no network connection."""

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
