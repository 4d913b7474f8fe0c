"""The cache folder where none is named: the user's, or a private temporary one."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from datamodules.cache.location import user_cache_dir
from datamodules.errors import DataError

SHOW = "from datamodules.cache.location import user_cache_dir; print(user_cache_dir())"


def location(tmp_path: Path, **environment: str) -> tuple[str, str]:
    """The folder that a process of this environment uses, and what it logs."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DARKROOM_CACHE", "XDG_CACHE_HOME")}
    environment = {**kept, "TMPDIR": str(tmp_path), **environment}
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.stderr


def test_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert location(tmp_path, HOME=str(tmp_path / "home")) == (str(tmp_path / "home/.cache/darkroom"), "")
    assert location(tmp_path, XDG_CACHE_HOME=str(tmp_path / "xdg")) == (str(tmp_path / "xdg/darkroom"), "")
    monkeypatch.setenv("DARKROOM_CACHE", str(tmp_path / "named"))
    assert user_cache_dir() == tmp_path / "named"


def test_a_home_that_cannot_be_written_to_is_replaced_by_a_private_temporary_folder(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    folder, logged = location(tmp_path, HOME=str(tmp_path / "home"))
    assert folder == str(tmp_path / f"darkroom-{os.getuid()}")
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert f"{tmp_path}/home/.cache/darkroom cannot be written to: the cache is in the temporary folder" in logged
    assert "--data.cache_dir FOLDER or the environment variable DARKROOM_CACHE" in logged
    assert location(tmp_path, HOME=str(tmp_path / "home"))[0] == folder  # every process uses the same


def test_a_temporary_folder_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    folder = tmp_path / f"darkroom-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    printed, logged = location(tmp_path, HOME=str(tmp_path / "home"))
    assert printed == ""
    assert f"{folder} is not a private folder of this user" in logged
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert f"{folder} is not a private folder of this user" in location(tmp_path, HOME=str(tmp_path / "home"))[1]


def test_an_unknown_user_is_told_to_name_an_absolute_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(DataError, match="there is no home folder; name an absolute path"):
        user_cache_dir()
