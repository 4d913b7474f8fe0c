"""onnxruntime-web is taken from a folder, a tarball or npm, and refused unless it is the pinned release."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from experiments.cli.usage import UsageError
from experiments.export import ort_web
from experiments.export.ort_web import PACKAGE, SCRIPT, VERSION, WASM, load_ort_web


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the package, whose checksums are those that are expected."""
    folder = tmp_path / "package"
    (folder / "dist").mkdir(parents=True)
    contents = {SCRIPT: b"export default 1", WASM: b"\0asm"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "package.json").write_text(json.dumps({"name": PACKAGE, "version": VERSION}))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(ort_web, "CHECKSUMS", sums)
    return folder


def pack(folder: Path) -> Path:
    tarball = folder.with_name("packed.tgz")
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(folder, "package")
    return tarball


def test_folder_and_tarball_give_the_same(package: Path) -> None:
    found = load_ort_web(package)
    assert (found.script, found.wasm) == (b"export default 1", b"\0asm")
    assert load_ort_web(pack(package)) == found


@pytest.mark.parametrize("packed", [False, True])
def test_a_changed_file_is_refused(package: Path, packed: bool) -> None:
    (package / WASM).write_bytes(b"\0asm changed")
    found = hashlib.sha256(b"\0asm changed").hexdigest()[:12]
    with pytest.raises(UsageError, match=rf"{WASM} has the SHA-256 {found}.* changed or damaged.*npm pack"):
        load_ort_web(pack(package) if packed else package)


def test_another_version_is_refused(package: Path) -> None:
    (package / "package.json").write_text(json.dumps({"name": PACKAGE, "version": "1.20.0"}))
    with pytest.raises(UsageError, match=rf"is {PACKAGE} 1\.20\.0, and {VERSION} is needed; type npm pack"):
        load_ort_web(package)


def test_what_is_not_the_package_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"nothing: there is no such file or folder.*npm pack {PACKAGE}@{VERSION}"):
        load_ort_web(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"is not the npm package"):
        load_ort_web(tmp_path)
    (tmp_path / "text.tgz").write_text("no archive")
    with pytest.raises(UsageError, match=r"text.tgz: cannot be read"):
        load_ort_web(tmp_path / "text.tgz")
    whole = pack(package)
    (tmp_path / "cut.tgz").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UsageError, match=r"cut.tgz: "):
        load_ort_web(tmp_path / "cut.tgz")
    (package / WASM).unlink()
    with pytest.raises(UsageError, match=rf"lacks {WASM}"):
        load_ort_web(package)


def test_without_npm_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=rf"there is no npm.*npm pack {PACKAGE}@{VERSION}, then --ort_web"):
        load_ort_web(None)


def test_an_npm_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network is unreachable' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(ort_web.shutil, "which", lambda _name: str(npm))
    with pytest.raises(UsageError, match=r"could not fetch .*\(npm error network is unreachable\).*--ort_web"):
        load_ort_web(None)
