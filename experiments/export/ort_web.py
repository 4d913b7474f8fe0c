"""Finds onnxruntime-web, the ONNX Runtime that runs inside a web page, and checks that it is the pinned release."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.cli.usage import UsageError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
#: The two files that a page needs, and their SHA-256: the interface in JavaScript, and the runtime in WebAssembly.
SCRIPT = "dist/ort.wasm.bundle.min.mjs"
WASM = "dist/ort-wasm-simd-threaded.wasm"
CHECKSUMS = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_MANIFEST = "package.json"
_BY_HAND = f"npm pack {PACKAGE}@{VERSION}, then --ort_web {PACKAGE}-{VERSION}.tgz"
_NPM_SECONDS = 600

Read = Callable[[str], bytes]  # from a name inside the package to the content; KeyError or OSError if there is none


@dataclass(frozen=True, kw_only=True)
class OrtWeb:
    """The files of onnxruntime-web.

    Args:
        script: an ECMAScript module that exports the interface.
        wasm: the runtime, for one thread or several, with SIMD.
    """

    script: bytes
    wasm: bytes


def load_ort_web(place: Path | None) -> OrtWeb:
    """Reads onnxruntime-web from a tarball or folder, or fetches it by npm.

    Args:
        place: the tarball that ``npm pack`` writes, or the folder of the package, for example
            ``node_modules/onnxruntime-web``; ``None`` runs ``npm pack``, which keeps a copy in npm's own cache.

    Raises:
        UsageError: if there is no such file, npm is missing or fails, or the files are not those of the pinned release.
    """
    if place is not None:
        return _read(place)
    with tempfile.TemporaryDirectory() as folder:
        return _read(npm_pack(Path(folder)))


def npm_pack(folder: Path) -> Path:
    """Downloads the tarball of the pinned release into ``folder``.

    Raises:
        UsageError: if npm is missing or fails; it names the commands that do without.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(
            f"--format html needs {PACKAGE} {VERSION}, which npm downloads, and there is no npm: install Node.js, or "
            f"on another machine type {_BY_HAND}"
        )
    print(f"fetching {PACKAGE} {VERSION} (33 MB) by npm")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--prefer-offline", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_NPM_SECONDS, check=False, encoding="utf-8"
        )
        reason = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    tarball = folder / f"{PACKAGE}-{VERSION}.tgz"
    if not tarball.is_file():
        raise UsageError(f"npm could not fetch {PACKAGE} {VERSION} ({reason}): on another machine type {_BY_HAND}")
    return tarball


def _read(place: Path) -> OrtWeb:
    if place.is_dir():
        return _checked(place, lambda name: (place / name).read_bytes())
    if not place.is_file():
        raise UsageError(f"--ort_web {place}: there is no such file or folder; to get one type {_BY_HAND}")
    try:
        with tarfile.open(place) as archive:

            def member(name: str) -> bytes:
                file = archive.extractfile(f"package/{name}")
                if file is None:
                    raise KeyError(name)
                return file.read()

            return _checked(place, member)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UsageError(f"--ort_web {place}: cannot be read ({error}); to get one type {_BY_HAND}") from error


def _checked(place: Path, read: Read) -> OrtWeb:
    try:
        manifest = json.loads(read(_MANIFEST))
    except (KeyError, OSError, ValueError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("name") != PACKAGE:
        raise UsageError(f"--ort_web {place}: is not the npm package {PACKAGE}; to get it type {_BY_HAND}")
    if manifest.get("version") != VERSION:
        raise UsageError(
            f"--ort_web {place}: is {PACKAGE} {manifest.get('version')}, and {VERSION} is needed; type {_BY_HAND}"
        )
    files = {}
    for name, checksum in CHECKSUMS.items():
        try:
            files[name] = read(name)
        except (KeyError, OSError):
            raise UsageError(f"--ort_web {place}: lacks {name}; to get it type {_BY_HAND}") from None
        found = hashlib.sha256(files[name]).hexdigest()
        if found != checksum:
            raise UsageError(
                f"--ort_web {place}: {name} has the SHA-256 {found[:12]}..., and {PACKAGE} {VERSION} has "
                f"{checksum[:12]}...; it was changed or damaged. Type {_BY_HAND}"
            )
    return OrtWeb(script=files[SCRIPT], wasm=files[WASM])
