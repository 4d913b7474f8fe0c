"""Files below a folder: each is found, counted, or named as a problem."""

import gc
import os
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.index.collector import paused_collector
from datamodules.index.folder_scan import list_images, scan_folder, scan_once
from datamodules.index.pairs import key_below, name_below
from datamodules.prediction.image_list import list_inputs
from tests.helpers.tiny_images import noise, save


def relative(paths: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_links_are_followed_and_dead_ones_are_not_lost(tmp_path: Path) -> None:
    root = tmp_path / "root"
    save(root / "a.png", noise(1))
    save(tmp_path / "elsewhere/b.png", noise(2))
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    (root / "dead.jpg").symlink_to("nowhere.jpg")
    (root / "unmounted").symlink_to("/nowhere")
    (root / "notes.txt").touch()
    (root / ".hidden.png").touch()
    scan = scan_folder(root)
    assert relative(scan.files, root) == ["a.png", "dead.jpg", "linked/b.png"]
    assert relative(scan.others, root) == ["notes.txt"]
    assert scan.problems == [f"{root / 'unmounted'}: is a link to /nowhere, which does not exist"]
    with pytest.raises(DataError, match="unmounted: is a link to /nowhere"):
        list_images(root)


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder that everybody may read; the effective user is not root, who may list every folder."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def test_a_folder_that_may_not_be_listed_is_a_problem(ordinary_user: Path) -> None:
    locked = ordinary_user / "locked"
    user = os.geteuid()
    os.seteuid(os.getuid())
    save(ordinary_user / "a.png", noise(1))
    locked.mkdir()
    save(locked / "b.png", noise(2))
    locked.chmod(0)
    os.seteuid(user)
    scan = scan_folder(ordinary_user)
    assert relative(scan.files, ordinary_user) == ["a.png"]
    assert scan.problems == [f"{locked}: cannot be listed: Permission denied"]
    with pytest.raises(DataError, match=r"cannot be read completely:\n  .*locked: cannot be listed: Permission denied"):
        list_images(ordinary_user)
    with pytest.raises(DataError, match=r"locked/b\.png: cannot be read: Permission denied"):
        list_inputs([str(locked / "b.png")])
    inputs = list_inputs([str(ordinary_user)])
    assert [listed.name for listed in inputs.files] == ["a"]
    assert inputs.lines() == [f"left out: {locked}: cannot be listed: Permission denied"]
    assert not inputs.complete
    os.seteuid(os.getuid())
    locked.chmod(0o700)


def test_folders_are_scanned_once_inside_the_block_and_again_after_it(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with scan_once():
        assert [path.name for path in scan_folder(tmp_path).files] == ["a.jpg"]
        (tmp_path / "b.jpg").touch()
        (tmp_path / "c.txt").touch()
        assert [path.name for path in scan_folder(tmp_path).files] == ["a.jpg"]
        assert [path.name for path in scan_folder(tmp_path, {".txt"}).files] == ["c.txt"]  # other suffixes
    assert [path.name for path in scan_folder(tmp_path).files] == ["a.jpg", "b.jpg"]
    (tmp_path / "a.jpg").unlink()
    with scan_once():
        assert [path.name for path in scan_folder(tmp_path).files] == ["b.jpg"]


def test_names_are_those_of_pathlib(tmp_path: Path) -> None:
    names = ("b.tar.jpg", "a..jpg", "x/a.png", "x-a.png", "x/ä.PNG", "e.", "none", "..up.jpg", "d..e.jpg")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scan = scan_folder(tmp_path)
    found = [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith(".")]
    images = sorted(path for path in found if path.suffix.lower() in (".jpg", ".png"))
    assert scan.files == images
    assert scan.others == sorted(set(found) - set(images))
    for path in found:
        relative = path.relative_to(tmp_path)
        assert name_below(tmp_path, path) == relative.as_posix()
        assert key_below(tmp_path, path) == unicodedata.normalize("NFC", relative.with_suffix("").as_posix())


def test_files_are_in_the_order_of_the_parts_of_their_paths(tmp_path: Path) -> None:
    names = ("a/z.png", "a b/c.png", "a-b.png", "a.png", "a/b/c.png", "a/b.png", "B.png", "\u00e4/x.png")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert scan_folder(tmp_path).files == sorted((tmp_path / name for name in names), key=lambda path: path.parts)


def test_the_collector_runs_again_after_the_outermost_block() -> None:
    assert gc.isenabled()
    with paused_collector():
        with paused_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(DataError), paused_collector():
        raise DataError("stops the listing")
    assert gc.isenabled()
