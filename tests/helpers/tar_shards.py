"""Writes tar shards with Python's ``tarfile``, which the project's reader of shards is compared with."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Files = Mapping[str, bytes]


def write_tar(path: Path, files: Files | Iterable[tuple[str, bytes]], *, tar_format: int = tarfile.PAX_FORMAT) -> Path:
    """Writes one archive with a time of change of its own for every file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tar_format) as tar:
        for number, (name, content) in enumerate(files.items() if isinstance(files, Mapping) else files):
            header = tarfile.TarInfo(name)
            header.size, header.mtime = len(content), 1000 + number
            tar.addfile(header, io.BytesIO(content))
    return path


def pack(folder: Path, out: Path, *, shards: int, name: str = "shard") -> list[Path]:
    """Packs the files below ``folder`` into shards, in their order, with a label beside each as webdataset has it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    written = []
    for number in range(shards):
        some = paths[number * len(paths) // shards : (number + 1) * len(paths) // shards]
        files: dict[str, bytes] = {}
        for path in some:
            relative = path.relative_to(folder)
            files[relative.as_posix()] = path.read_bytes()
            files[relative.with_suffix(".cls").as_posix()] = b"1"
        written.append(write_tar(out / f"{name}-{number:04}.tar", files))
    return written
