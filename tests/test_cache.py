"""Cached images equal decoded ones, are written once and atomically, and are recreated when damaged."""

import logging
import os
import pickle
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.cache.cache import ImageCache, Item
from datamodules.cache.cache_files import file_bytes, read_cache_file, write_cache_file
from datamodules.cache.encodings import ImageEncoding
from datamodules.errors import DataError
from datamodules.io.image import read_image
from datamodules.io.resize import resize_image
from datamodules.segmentation.label_map import LabelMap
from datamodules.segmentation.mask_encodings import ClassesEncoding, CoverageEncoding
from experiments.benchmarks.cache import main as benchmark
from experiments.benchmarks.kill_run import group_exists

ROOT = Path(__file__).parents[1]


def draw(folder: Path, count: int, side: int = 40) -> list[Path]:
    generator = np.random.default_rng(0)
    paths = [folder / f"image {i:02}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (side, side, 3), np.uint8)).save(path)
    return paths


def images(paths: list[Path]) -> list[Item]:
    return [Item(path, ImageEncoding()) for path in paths]


def cache_files(cache: ImageCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "cache", limit_gb=1)


@dataclass(frozen=True)
class Refused:
    """An encoding that fails to decode, so pixels can only come from the cache."""

    label: str = "image"

    def shape(self, size: int) -> tuple[int, ...]:
        return (size, size, 3)

    def encode(self, path: Path, size: int) -> NDArray[np.uint8]:
        raise AssertionError("decoded")


@pytest.mark.parametrize("workers", [0, 2])
def test_cached_pixels_equal_decoded_ones(workers: int, cache: ImageCache, tmp_path: Path) -> None:
    paths = draw(tmp_path, 12)
    cache.fill(images(paths), 16, workers=workers)
    for path in paths:
        file = cache.get(path, 16, Refused())
        np.testing.assert_array_equal(file, resize_image(read_image(path), 16))
        assert not file.flags.writeable
    assert len(cache_files(cache)) == 12


def test_masks_by_their_encodings(cache: ImageCache, tmp_path: Path) -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:2, :2] = 7
    mask[0, 2] = 7
    path = tmp_path / "mask.png"
    Image.fromarray(mask).save(path)
    coverage = CoverageEncoding(LabelMap({0: 0, 7: 1}))
    classes, swapped = ClassesEncoding(LabelMap({0: 0, 7: 5})), ClassesEncoding(LabelMap({0: 5, 7: 0}))
    turned = ClassesEncoding(LabelMap({0: 0, 7: 5}), orientation=3)
    cache.fill([Item(path, encoding) for encoding in (coverage, classes, swapped, turned)], 2, workers=0)
    assert len(cache_files(cache)) == 4
    for encoding, expected in (
        (coverage, [[255, 64], [0, 0]]),
        (classes, [[5, 0], [0, 0]]),
        (swapped, [[0, 5], [5, 5]]),
        (turned, [[0, 0], [5, 5]]),
    ):
        np.testing.assert_array_equal(cache.get(path, 2, encoding), expected)


def test_fill_creates_only_missing_files(cache: ImageCache, tmp_path: Path) -> None:
    paths = draw(tmp_path, 4)
    cache.fill(images(paths), 16, workers=0)
    first, *others = cache_files(cache)
    before = {path: path.stat().st_mtime_ns for path in others}
    first.unlink()
    time.sleep(0.01)
    cache.fill(images(paths), 16, workers=0)
    assert cache_files(cache) == [first, *others]
    assert {path: path.stat().st_mtime_ns for path in others} == before


def test_changed_image_gets_another_cache_file(cache: ImageCache, tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    cache.fill(images([path]), 16, workers=0)
    old = path.stat()
    content = path.read_bytes()
    Image.new("RGB", (40, 40), (1, 2, 3)).save(path)
    np.testing.assert_array_equal(cache.get(path, 16, ImageEncoding())[5, 5], [1, 2, 3])
    path.write_bytes(content)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns + 1))  # the same bytes a nanosecond later
    with pytest.raises(AssertionError, match="decoded"):
        cache.get(path, 16, Refused())
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    cache.get(path, 16, Refused())


def test_sizes_are_cached_separately(cache: ImageCache, tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    for size in (8, 16):
        cache.fill(images([path]), size, workers=0)
    assert [cache.get(path, size, Refused()).shape for size in (8, 16)] == [(8, 8, 3), (16, 16, 3)]


def test_one_image_by_two_paths_to_it_is_one_cache_file(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = draw(tmp_path, 1)
    cache.fill(images([path]), 16, workers=0)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(cache.get(Path(path.name), 16, Refused()), cache.get(path, 16, Refused()))


@pytest.mark.parametrize("damage", ["empty", "cut", "too long", "one bit", "other header", "zeros"])
def test_damaged_cache_file_is_made_again(damage: str, cache: ImageCache, tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    cache.fill(images([path]), 16, workers=0)
    [file] = cache_files(cache)
    whole = file.read_bytes()
    bit = bytearray(whole)
    bit[500] ^= 1
    file.write_bytes(
        {
            "empty": b"",
            "cut": whole[:-1],
            "too long": whole + b"\0",
            "one bit": bytes(bit),
            "other header": whole.replace(b"16, 16", b"12, 16"),
            "zeros": bytes(len(whole)),
        }[damage]
    )
    np.testing.assert_array_equal(cache.get(path, 16, ImageEncoding()), resize_image(read_image(path), 16))
    assert file.read_bytes() == whole
    file.write_bytes(b"")
    cache.fill(images([path]), 16, workers=0)
    assert file.read_bytes() == whole


def test_a_cache_file_is_read_once_and_stays_mapped_when_it_is_removed(cache: ImageCache, tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    cache.fill(images([path]), 16, workers=0)
    first = cache.get(path, 16, Refused())
    [file] = cache_files(cache)
    file.unlink()
    assert cache.get(path, 16, Refused()) is first
    np.testing.assert_array_equal(first, resize_image(read_image(path), 16))


def test_maps_are_not_sent_to_loader_processes(cache: ImageCache, tmp_path: Path) -> None:
    paths = draw(tmp_path, 8)
    cache.fill(images(paths), 64, workers=0)
    before = len(pickle.dumps(cache))
    first = [cache.get(path, 64, Refused()) for path in paths]
    assert len(pickle.dumps(cache)) == before
    copy = pickle.loads(pickle.dumps(cache))
    for path, pixels in zip(paths, first, strict=True):
        np.testing.assert_array_equal(copy.get(path, 64, Refused()), pixels)


def test_files_beyond_the_largest_number_of_maps_are_read_each_time(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.cache.mapped_files._MOST", 1)
    paths = draw(tmp_path, 2)
    cache.fill(images(paths), 16, workers=0)
    kept, other = (cache.get(path, 16, Refused()) for path in paths)
    assert cache.get(paths[0], 16, Refused()) is kept
    again = cache.get(paths[1], 16, Refused())
    assert again is not other
    np.testing.assert_array_equal(again, other)


def test_files_are_read_where_they_cannot_be_mapped(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = draw(tmp_path, 1)
    cache.fill(images([path]), 16, workers=0)

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("unable to mmap")

    monkeypatch.setattr("torch.from_file", refuse)
    np.testing.assert_array_equal(cache.get(path, 16, Refused()), resize_image(read_image(path), 16))


def test_image_not_filled_is_decoded_and_not_stored(cache: ImageCache, tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1)
    np.testing.assert_array_equal(cache.get(path, 16, ImageEncoding()), resize_image(read_image(path), 16))
    assert not cache.folder.exists()


def test_cached_file_is_loadable_by_numpy(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    write_cache_file(tmp_path / "deep" / "a.npy", pixels)
    np.testing.assert_array_equal(np.load(tmp_path / "deep" / "a.npy"), pixels)
    np.testing.assert_array_equal(read_cache_file(tmp_path / "deep" / "a.npy", (4, 4, 3)), pixels)
    assert (tmp_path / "deep" / "a.npy").stat().st_size == file_bytes((4, 4, 3))


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_named_and_the_others_cached(workers: int, cache: ImageCache, tmp_path: Path) -> None:
    paths = draw(tmp_path, 12)
    paths[3].write_bytes(b"")
    paths[7].write_bytes(paths[7].read_bytes()[:200])
    paths[9].unlink()
    with pytest.raises(DataError) as caught:
        cache.fill(images(paths), 16, workers=workers)
    message = str(caught.value)
    assert message.startswith("3 files cannot be used:")
    for bad in (3, 7, 9):
        assert f"image {bad:02}.png: " in message
    assert len(cache_files(cache)) == 9


def test_size_limit_is_kept_and_reported_once(
    cache: ImageCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder holds copies of another set, so that some of these do not fit any more."""
    paths = draw(tmp_path, 5)
    one = file_bytes((16, 16, 3))
    cache.folder.mkdir()
    (cache.folder / "another set").write_bytes(bytes(2 * one))
    small = ImageCache(cache.folder, limit_gb=5.5 * one / 1e9)
    with caplog.at_level(logging.WARNING):
        assert small.fill(images(paths), 16, workers=0)
    assert len(caplog.records) == 1
    assert "2 of 5 files at 16 px are not cached and are decoded every time" in caplog.text
    assert len(list(small.folder.rglob("*.npy"))) == 3
    for path in paths:
        np.testing.assert_array_equal(small.get(path, 16, ImageEncoding()), resize_image(read_image(path), 16))
    assert len(list(small.folder.rglob("*.npy"))) == 3


def test_nothing_is_written_for_a_set_that_exceeds_the_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Decided by the set, the size and the limit alone: the copies of the smaller size fit, the others do not."""
    paths = draw(tmp_path, 5)
    large = 5 * file_bytes((32, 32, 3))
    small = ImageCache(tmp_path / "cache", limit_gb=(large - 1) / 1e9)
    with caplog.at_level(logging.WARNING):
        assert not small.fill(images(paths), 32, workers=0)
    assert len(caplog.records) == 1
    assert f"the copies at 32 px would take {large / 1e9:.3g} GB, more than the limit" in caplog.text
    assert "--data.cache_gb 1 or more" in caplog.text
    assert not small.folder.exists()
    assert small.fill(images(paths), 16, workers=0)
    assert not small.fill(images(paths), 32, workers=0)
    assert len(list(small.folder.rglob("*.npy"))) == 5
    np.testing.assert_array_equal(small.get(paths[0], 32, ImageEncoding()), resize_image(read_image(paths[0]), 32))
    assert len(list(small.folder.rglob("*.npy"))) == 5
    assert ImageCache(tmp_path / "cache", limit_gb=large * 2 / 1e9).fill(images(paths), 32, workers=0)
    before = {path: path.stat().st_mtime_ns for path in small.folder.rglob("*.npy")}
    assert not small.fill(images(paths), 32, workers=0)  # a lower limit removes nothing
    np.testing.assert_array_equal(small.get(paths[0], 32, Refused()), resize_image(read_image(paths[0]), 32))
    assert {path: path.stat().st_mtime_ns for path in small.folder.rglob("*.npy")} == before


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ImageCache(tmp_path / "file" / "cache", limit_gb=1)
    with pytest.raises(
        DataError, match=r"file/cache: the cache cannot be written \(Not a directory\); free some space"
    ):
        cache.fill(images(draw(tmp_path, 1)), 16, workers=0)


def test_full_disk_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache(tmp_path / "cache", limit_gb=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        cache.fill(images(draw(tmp_path, 2)), 16, workers=0)
    assert cache_files(cache) == []


def test_stale_temporary_files_are_removed(cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once if their process is known to have ended; after a day if it may run on another host."""
    cache.folder.mkdir()
    old, young = cache.folder / "x-1-elsewhere-0.part", cache.folder / "y-1-elsewhere-0.part"
    for half in (old, young):
        half.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    with monkeypatch.context() as patch:  # as a kill does: no name, and nothing tidied up
        patch.setattr(Path, "replace", lambda *_: os._exit(9))
        if (child := os.fork()) == 0:
            cache.fill(images(draw(tmp_path, 1)), 16, workers=0)
    os.waitpid(child, 0)
    (killed,) = set(cache.folder.rglob("*.part")) - {old, young}
    cache.fill(images(draw(tmp_path, 1)), 16, workers=0)
    assert not old.exists()
    assert not killed.exists()
    assert young.exists()


def start_to_fill(folder: Path, size: int) -> subprocess.Popen[bytes]:
    code = (
        "from pathlib import Path; from datamodules.cache.cache import *\n"
        "from datamodules.cache.encodings import ImageEncoding\n"
        f"items = [Item(p, ImageEncoding()) for p in sorted(Path({str(folder)!r}).glob('*.png'))]\n"
        f"ImageCache(Path({str(folder / 'cache')!r}), limit_gb=1).fill(items, {size}, workers=2)"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)


def test_killed_fill_leaves_no_process_and_continues_later(cache: ImageCache, tmp_path: Path) -> None:
    [path] = draw(tmp_path, 1, side=500)
    for index in range(60):
        (tmp_path / f"again {index:03}.png").hardlink_to(path)
    filler = start_to_fill(tmp_path, 64)
    while len(list(cache.folder.rglob("*.npy"))) < 5:
        time.sleep(0.01)
    filler.kill()
    filler.wait()
    until = time.monotonic() + 10
    while group_exists(filler.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not group_exists(filler.pid)  # the workers ended by themselves
    made = {file: file.stat().st_mtime_ns for file in cache.folder.rglob("*.npy")}
    assert 5 <= len(made) < 61
    cache.fill(images(sorted(tmp_path.glob("*.png"))), 64, workers=2)
    assert len(list(cache.folder.rglob("*.npy"))) == 61
    assert {file: file.stat().st_mtime_ns for file in made} == made
    np.testing.assert_array_equal(cache.get(path, 64, Refused()), resize_image(read_image(path), 64))


def test_two_processes_fill_while_a_third_reads(tmp_path: Path) -> None:
    """Both succeed, and a reader sees complete cache files or none."""
    paths = draw(tmp_path, 60, side=200)
    fillers = [start_to_fill(tmp_path, 64) for _ in range(2)]
    sizes = set()
    while any(filler.poll() is None for filler in fillers):
        sizes |= {file.stat().st_size for file in (tmp_path / "cache").rglob("*.npy")}
    assert [filler.wait() for filler in fillers] == [0, 0]
    assert sizes == {file_bytes((64, 64, 3))}
    cache = ImageCache(tmp_path / "cache", limit_gb=1)
    assert len(cache_files(cache)) == 60  # and nothing half-written beside them
    for path in paths:
        np.testing.assert_array_equal(cache.get(path, 64, Refused()), resize_image(read_image(path), 64))


def test_long_fill_shows_a_progress_bar(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("datamodules.loading.parallel._BAR_AFTER_SECONDS", 0)
    cache.fill(images(draw(tmp_path, 3)), 16, workers=0)
    assert "caching at 16 px: 100%" in capsys.readouterr().err


def test_benchmark_measures_three_ways_and_the_fidelity(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark(["--images", "1", "--sizes", "128", "--max_spread", "1000"]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    speeds = {line.split()[0]: float(line.split()[1]) for line in lines if line.endswith(")") and " to " in line}
    assert list(speeds) == ["Pillow", "build", "read"]
    [fidelity] = (line for line in lines if line.startswith("fidelity of build: "))
    assert float(fidelity.split()[3]) >= 39
