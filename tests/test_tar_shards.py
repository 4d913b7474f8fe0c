"""Images in tar shards give the samples that the same files in a folder give, and damaged shards are refused."""

import gzip
import pickle
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from datamodules.images.style import StyleDataModule
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.loading.sampler import Key
from datamodules.stage import Stage
from datamodules.storage.shard_names import expand_braces
from datamodules.storage.tar_index import read_members
from datamodules.storage.tar_member import LocalShard
from tests.helpers.tar_shards import pack, write_tar
from tests.helpers.tiny_images import noise, save, save_images

SR = Stage(name="2x", size=8, scale=2, batch_size=2, epochs=1, lr=1e-3, augment=True)
STYLE = Stage(name="16", size=16, batch_size=2, epochs=1, lr=1e-3)


def png(seed: int) -> bytes:
    file = BytesIO()
    Image.fromarray(noise(seed, 40, 40)).save(file, "PNG")
    return file.getvalue()


def sr_data(root: Path | str, **options: Any) -> SuperResolutionDataModule:
    return SuperResolutionDataModule(root=Path(root), val_share=0.2, num_workers=0, **options)


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_index_has_the_bytes_that_tarfile_extracts(tmp_path: Path, tar_format: int) -> None:
    files = {f"./a/{'long' * 20}/{number}.png": bytes([number]) * (500 + number) for number in range(9)}
    files |= {"./.DS_Store": b"x", "a/._1.png": b"y", "a/1.txt": b""}
    path = write_tar(tmp_path / "a.tar", files, tar_format=tar_format)
    content = path.read_bytes()
    found = {member.name: content[member.start : member.start + member.length] for member in read_members(path)}
    with tarfile.open(path) as tar:
        extracted = {header.name: tar.extractfile(header).read() for header in tar}  # type: ignore[union-attr]
    hidden = {"./.DS_Store", "a/._1.png"}
    assert found == {name.removeprefix("./"): data for name, data in extracted.items() if name not in hidden}
    assert len(found) == 10


@pytest.mark.parametrize("shape", ["folder", "pattern", "file"])
def test_samples_are_those_of_the_folder(tmp_path: Path, shape: str) -> None:
    folder = save_images(tmp_path / "images", 12)
    save(folder / "n0/large.png", np.random.default_rng(0).integers(0, 255, (400, 300, 3), dtype=np.uint8))  # > 256 KiB
    pack(folder, tmp_path / "tar", shards=1 if shape == "file" else 3)
    root = {"folder": "tar", "pattern": "tar/shard-{0000..0002}.tar", "file": "tar/shard-0000.tar"}[shape]
    data, plain = sr_data(tmp_path / root), sr_data(folder)
    data.prepare([SR])
    plain.prepare([SR])
    names = {image.name.split("/", 1)[1]: image for image in data.load_splits().splits["train"]}
    samples = data.train_set(SR)
    pixels = {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))
    }
    assert {image.name for split in ("train", "val") for image in plain.load_splits().splits[split]} == set(pixels)
    for name, image in names.items():
        assert np.array_equal(data.cache.get(image.path, 512, image.encoding), pixels[name])
    assert data.describe()[-1].startswith(f"  tar shards: {1 if shape == 'file' else 3} with 13 image files; left out")
    copy = pickle.loads(pickle.dumps(samples))  # as loader processes that are not forked get it
    first, again = samples[Key(3, 0)], copy[Key(3, 0)]
    assert torch.equal(first["high_res"], again["high_res"])
    assert first["name"] == again["name"]


def test_images_larger_than_the_cache_are_read_from_the_shard_each_time(tmp_path: Path) -> None:
    pack(save_images(tmp_path / "images", 10), tmp_path / "tar", shards=2)
    cached, read = sr_data(tmp_path / "tar"), sr_data(tmp_path / "tar", cache_gb=0, cache_dir=tmp_path / "other")
    cached.prepare([SR])
    read.prepare([SR])
    for index in range(8):
        left, right = (data.train_set(SR)[Key(1, index)]["high_res"] for data in (cached, read))
        assert torch.equal(left, right)
    assert not list((tmp_path / "other/images").rglob("*.npy"))


def test_shards_named_after_splits_are_the_splits(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("val", 3)):
        pack(save_images(tmp_path / split, count), tmp_path / "tar", shards=2, name=f"set-{split}")
    data = StyleDataModule(root=tmp_path / "tar", num_workers=0)
    data.prepare([STYLE])
    splits = data.load_splits().splits
    assert [len(splits[split]) for split in ("train", "val")] == [6, 3]
    assert all(image.name.startswith("set-val-") for image in splits["val"])
    assert data.train_set(STYLE)[Key(0, 1)]["content"].shape == (3, 16, 16)


def test_index_is_stored_until_the_shard_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(save_images(tmp_path / "images", 8), tmp_path / "tar", shards=2)
    assert sr_data(tmp_path / "tar").stored is not None

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("headers were read again")

    with monkeypatch.context() as patch:
        patch.setattr("datamodules.storage.tar_index.tarfile.open", refuse)
        assert sr_data(tmp_path / "tar").stored is not None
    write_tar(tmp_path / "tar/shard-0001.tar", {"new.png": png(1)})
    found = sr_data(tmp_path / "tar").stored
    assert found is not None
    assert [image.name for image in found.images][-1] == "new.png"


def test_a_shard_that_changes_during_the_run_is_refused(tmp_path: Path) -> None:
    pack(save_images(tmp_path / "images", 8), tmp_path / "tar", shards=1)
    data = sr_data(tmp_path / "tar", cache_gb=0)
    data.prepare([SR])
    pack(save_images(tmp_path / "others", 9), tmp_path / "tar", shards=1)
    with pytest.raises(DataError, match=r"shard-0000\.tar.*has changed since the run began"):
        data.train_set(SR)[Key(0, 0)]


def test_braces_name_ranges_and_words() -> None:
    assert expand_braces("{a,b}-{9..11}.tar") == [f"{word}-{n}.tar" for word in "ab" for n in (9, 10, 11)]
    for pattern in ("x-{3..1}.tar", "x-{1...4}.tar", "{}.tar", "{0..99999999}.tar"):
        with pytest.raises(DataError, match=r"neither a range of numbers"):
            expand_braces(pattern)


GOOD = {"a.png": png(0), "b.png": png(1)}


def test_shards_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "good/x.tar", GOOD).read_bytes()
    end = tarfile.BLOCKSIZE + -(-len(GOOD["a.png"]) // 512) * 512  # of the first file
    link = tarfile.TarInfo("c.png")
    link.type, link.linkname = tarfile.SYMTYPE, "a.png"
    linked = BytesIO()
    with tarfile.open(fileobj=linked, mode="w") as tar:
        tar.addfile(link)
    cases: dict[str, tuple[bytes, str]] = {
        "cut in a file": (whole[: end - 600], "is not a tar file, or is damaged or cut short"),
        "cut between files": (whole[:end], "cut short .it has no end mark"),
        "a damaged header": (whole[:end] + b"\x00\x01" * 256 + whole[end + 512 :], "cut short .it has no end mark"),
        "no tar": (png(0), "is not a tar file"),
        "empty": (b"", "is not a tar file"),
        "compressed": (gzip.compress(whole), r"is compressed \(gzip\).*decompress it"),
        "joined": (whole + whole, "more data behind its end mark"),
        "twice": (write_tar(tmp_path / "t.tar", [*GOOD.items(), *GOOD.items()]).read_bytes(), r"2 name\(s\) more than"),
        "outside": (write_tar(tmp_path / "o.tar", {"../a.png": b"x"}).read_bytes(), "leads out of the archive"),
        "link": (linked.getvalue(), "c.png is a link"),
        "no image": (write_tar(tmp_path / "n.tar", {"a.txt": b"x"}).read_bytes(), "hold no images"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name / "s-0.tar"
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            sr_data(path.parent).load_splits()
        assert "s-0.tar" in str(caught.value) or name == "no image", name


def test_roots_that_name_nothing_are_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "x-0.tar", GOOD)
    with pytest.raises(DataError, match=r"2 of its 3 files do not exist \(.*x-1\.tar, .*x-2\.tar\)"):
        sr_data(tmp_path / "x-{0..2}.tar").load_splits()
    with pytest.raises(DataError, match=r"name an existing one with --data\.root FOLDER, or tar"):
        sr_data(tmp_path / "y.tar").load_splits()
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/a.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.tar\.gz: is compressed \(gz\)"):
        sr_data(tmp_path / "packed").load_splits()


def test_a_member_that_is_no_image_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "x-0.tar", GOOD | {"c.jpg": b"no image", "d.png": png(2)[:200]})
    with pytest.raises(DataError) as caught:
        sr_data(tmp_path).load_splits()
    assert "2 x file that cannot be read" in str(caught.value)
    assert "x-0.tar/c.jpg" in str(caught.value)
    assert "x-0.tar/d.png" in str(caught.value)


def test_a_tar_beside_images_is_left_out(tmp_path: Path) -> None:
    save_images(tmp_path / "images", 8)
    write_tar(tmp_path / "images/download.tar", GOOD)
    data = sr_data(tmp_path / "images")
    assert data.stored is None
    assert "download.tar" in data.describe()[-1]


def test_shards_of_the_webdataset_package_are_read(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "out-%04d.tar"), maxcount=3, verbose=0) as writer:
        for number in range(7):
            writer.write({"__key__": f"n/{number:04}", "png": png(number), "cls": number})
    found = sr_data(tmp_path).stored
    assert found is not None
    assert found.shards == 3
    assert [image.read_bytes() for image in found.images] == [png(number) for number in range(7)]


def test_a_read_beyond_the_end_is_an_error(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", GOOD)
    status = path.stat()
    shard = LocalShard(path, (status.st_size, status.st_mtime_ns))
    assert shard.read(status.st_size - 9, 9) == bytes(9)
    with pytest.raises(OSError, match="shorter"):
        shard.read(status.st_size - 9, 10)
