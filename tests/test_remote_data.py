"""Images and tar shards behind URLs give the samples of the same files in a folder."""

import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from datamodules.errors import DataError
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.loading.sampler import Key
from datamodules.stage import Stage
from datamodules.storage import file_systems, remote_shard
from tests.helpers.tar_shards import pack, write_tar
from tests.helpers.tiny_images import save_images

STAGE = Stage(name="2x", size=8, scale=2, batch_size=4, epochs=1, lr=1e-3, augment=True)


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of a folder in memory, removed at the end."""
    yield "memory://bucket/data"
    fsspec.filesystem("memory").store.clear()


def upload(folder: Path, url: str) -> None:
    system, root = fsspec.url_to_fs(url)
    for path in folder.rglob("*"):
        if path.is_file():
            system.pipe_file(f"{root}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def prepared(root: Path | str, cache: Path, **options: Any) -> SuperResolutionDataModule:
    data = SuperResolutionDataModule(root=Path(root), cache_dir=cache, val_share=0.2, **{"num_workers": 0} | options)
    data.prepare([STAGE])
    data.set_stage(STAGE)
    return data


def batches(data: SuperResolutionDataModule) -> list[dict[str, Any]]:
    return [{key: batch[key] for key in ("name", "high_res")} for batch in data.train_dataloader()]


def assert_same(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    assert len(left) == len(right) > 0
    for one, other in zip(left, right, strict=True):
        assert one["name"] == other["name"]
        assert torch.equal(one["high_res"], other["high_res"])


@pytest.mark.parametrize(("workers", "cache_gb"), [(0, 1.0), (1, 0.0)])
def test_a_remote_folder_gives_the_batches_of_a_local_one(
    tmp_path: Path, bucket: str, workers: int, cache_gb: float
) -> None:
    folder = save_images(tmp_path / "images", 16)
    (folder / "readme.txt").write_text("x")
    upload(folder, bucket)
    remote = prepared(bucket, tmp_path / "a", num_workers=workers, cache_gb=cache_gb)
    local = prepared(folder, tmp_path / "b")
    assert_same(batches(remote), batches(local))
    assert remote.describe()[-1] == "  behind a URL: 16 image files; left out, no images by their suffix: 1 x .txt"
    assert bool(list((tmp_path / "a/images").rglob("*.npy"))) == (cache_gb > 0)


@pytest.mark.parametrize("shape", ["", "/shard-{0000..0003}.tar"])
def test_remote_shards_give_the_batches_of_local_ones(tmp_path: Path, bucket: str, shape: str) -> None:
    pack(save_images(tmp_path / "images", 20), tmp_path / "tar", shards=4)
    upload(tmp_path / "tar", bucket)
    local = prepared(tmp_path / "tar", tmp_path / "b", shard_window=2, cache_gb=0)
    remote = prepared(f"{bucket}{shape}", tmp_path / "a", shard_window=2)
    assert_same(batches(remote), batches(local))
    assert len(list((tmp_path / "a/shards").glob("*.tar"))) == 4


def test_copies_of_shards_stay_below_the_limit_and_come_again(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = pack(save_images(tmp_path / "images", 20), tmp_path / "tar", shards=4)
    upload(tmp_path / "tar", bucket)
    copied: list[str] = []
    copy = remote_shard.RemoteShard._copy

    def counted(self: remote_shard.RemoteShard, path: Path) -> None:
        copied.append(self.url)
        copy(self, path)
        held = sum(file.stat().st_size for file in self.copies.glob("*.tar"))
        assert held <= self.limit

    monkeypatch.setattr(remote_shard.RemoteShard, "_copy", counted)
    limit = 2.5 * max(path.stat().st_size for path in shards) / 1e9
    remote = prepared(bucket, tmp_path / "a", shard_window=1, cache_gb=limit)
    # The cache of resized images has the same limit. Without it every sample is read from its shard.
    monkeypatch.setattr(remote.cache, "folder", tmp_path / "none")
    copied.clear()
    local = prepared(tmp_path / "tar", tmp_path / "b", shard_window=1)
    assert_same(batches(remote), batches(local))
    assert 2 <= len(copied) <= 4  # each shard of the window once, if it was not there
    assert "copied again in every epoch" in remote.describe()[-1]
    assert "--data.shard_window" not in remote.describe()[-1]
    remote._shard_window = None
    assert "set --data.shard_window 1 or less" in remote.describe()[-1]


def test_a_changed_remote_file_is_refused(tmp_path: Path, bucket: str) -> None:
    upload(save_images(tmp_path / "images", 10), bucket)
    data = prepared(bucket, tmp_path / "a", cache_gb=0)
    name = data.load_splits().splits["train"][0].name
    fsspec.filesystem("memory").pipe_file(f"/bucket/data/{name}", b"other")
    with pytest.raises(DataError, match=rf"bucket/data/{name}: its size has changed"):
        data.train_set(STAGE)[Key(0, 0)]


def test_an_index_of_remote_shards_is_stored_until_they_change(tmp_path: Path, bucket: str) -> None:
    pack(save_images(tmp_path / "images", 10), tmp_path / "tar", shards=2)
    upload(tmp_path / "tar", bucket)
    prepared(bucket, tmp_path / "a")
    for path in (tmp_path / "a/shards").iterdir():
        path.unlink()
    assert prepared(bucket, tmp_path / "a").stored is not None
    assert not list((tmp_path / "a/shards").glob("*.tar"))  # index, checks and copies of images are stored
    pack(save_images(tmp_path / "more", 12), tmp_path / "tar", shards=2)
    upload(tmp_path / "tar", bucket)
    again = prepared(bucket, tmp_path / "a")
    assert sum(map(len, again.load_splits().splits.values())) == 12 + 2  # the validation images are those of the test


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme, package, extra in (("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(DataError, match=rf"{scheme}://b/x: .*{package}.*pip install '\.\[{extra}\]'") as caught:
            prepared(f"{scheme}://b/x", tmp_path)
        assert "\n" not in str(caught.value)


def test_what_a_url_does_not_have_is_named(tmp_path: Path, bucket: str) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/bucket/data/notes.txt", b"x")
    write_tar(tmp_path / "x-0.tar", {"a.txt": b"x"})
    upload(tmp_path, "memory://bucket/tar")
    for root, message in {
        bucket: r"memory://bucket/data holds no images and no tar files, only 1 x \.txt",
        f"{bucket}/none": r"memory://bucket/data/none holds no images and no tar files",
        "memory://bucket/tar/x-{0..1}.tar": r"memory://bucket/tar/x-1\.tar: cannot be read: there is no such file",
        "memory://bucket/tar/x-0.tar": r"1 tar file\(s\) of .* hold no images",
        "memory://bucket/x.tar.gz": r"x\.tar\.gz: is compressed",
        "nosuch://bucket/x": r"nosuch://bucket/x: cannot be opened \(Protocol not known: nosuch\)",
    }.items():
        with pytest.raises(DataError, match=message):
            prepared(root, tmp_path / "a")


def test_a_request_that_fails_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_systems, "_PAUSES", (0.0, 0.0))
    failures = [ConnectionResetError("reset"), TimeoutError("late")]

    def fails_twice() -> str:
        if failures:
            raise failures.pop()
        return "content"

    assert file_systems.ask("a", fails_twice) == "content"
    failures += [ConnectionResetError("reset")] * 3
    with pytest.raises(DataError, match="a: cannot be read: ConnectionResetError: reset"):
        file_systems.ask("a", fails_twice)
    assert not failures


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URL of ``tmp_path/served`` on a local HTTP server."""
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_shards_of_a_web_server_give_the_batches_of_local_ones(tmp_path: Path, server: str) -> None:
    pytest.importorskip("aiohttp")
    pack(save_images(tmp_path / "images", 12), tmp_path / "served", shards=2)
    local = prepared(tmp_path / "served", tmp_path / "b")
    remote = prepared(f"{server}/shard-{{0000..0001}}.tar", tmp_path / "a", num_workers=1, cache_gb=1e-3)
    assert_same(batches(remote), batches(local))
    with pytest.raises(DataError, match=r"shard-0002\.tar: cannot be read: there is no such file"):
        prepared(f"{server}/shard-{{0000..0002}}.tar", tmp_path / "c")
