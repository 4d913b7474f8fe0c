"""Real images for the tests that want them: they lie in the folder that ``DARKROOM_DATA`` names, if it names one."""

import os
from pathlib import Path

import pytest


def real(folder: str) -> Path:
    """A folder of them; a path that does not exist where there are none."""
    return Path(os.environ.get("DARKROOM_DATA") or "/nonexistent") / folder


def needs(folder: Path) -> pytest.MarkDecorator:
    """Skips a test, by name, where the folder is not there."""
    return pytest.mark.skipif(not folder.is_dir(), reason=f"DARKROOM_DATA names no folder with {folder.name}/ in it")
