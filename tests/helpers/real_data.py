"""Real images for tests, from the folder that ``DARKROOM_DATA`` names."""

import os
from pathlib import Path

import pytest


def real(folder: str) -> Path:
    """A folder of real images; the path does not exist if there are none."""
    return Path(os.environ.get("DARKROOM_DATA") or "/nonexistent") / folder


def needs(folder: Path) -> pytest.MarkDecorator:
    """Skips a test if its folder does not exist."""
    return pytest.mark.skipif(not folder.is_dir(), reason=f"DARKROOM_DATA names no folder with {folder.name}/ in it")
