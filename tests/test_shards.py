"""Shards of ``prepare``, run side by side, leave the same copies, statistics and problems as one ``prepare``."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from datamodules.errors import DataError
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.loading.shard import Shard, parse_shard
from datamodules.segmentation import check
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from experiments.cli.main import main
from tests.helpers.tiny_images import disc, folders, noise, save, save_images

ROOT = Path(__file__).parents[1]
STAGES = [
    Stage(name="square", size=16, batch_size=2, epochs=1, lr=0.1, augment=False),
    Stage(name="crops", size=24, crop=16, batch_size=2, epochs=1, lr=0.1, augment=False),
]
SR_STAGE = Stage(name="sr", size=16, scale=2, batch_size=2, epochs=1, lr=0.1)


def contents(cache: Path) -> dict[str, bytes]:
    """The copies in a cache by name."""
    return {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*.npy")}


def segment(root: Path, cache: Path, **options: object) -> FolderDataModule:
    return FolderDataModule(root=root, cache_dir=cache, num_workers=0, **options)  # type: ignore[arg-type]


def patches(root: Path, cache: Path, **options: object) -> SuperResolutionDataModule:
    options = {"side": 40, "val_share": 0.3, **options}
    return SuperResolutionDataModule(root=root, cache_dir=cache, num_workers=0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("total", [1, 7, 16, 100])
def test_shards_are_disjoint_complete_and_balanced(total: int) -> None:
    items = list(range(total))
    parts = [Shard(number, 7).of(items) for number in range(1, 8)]
    assert sorted(item for part in parts for item in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/16", "17/16", "3", "a/b", "3/0", "-1/2", "1/2/3", "", "1.5/2"])
def test_a_shard_that_does_not_exist_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"^--shard "):
        parse_shard(text)
    assert main(["--task", "segment", "prepare", f"--shard={text}"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1
    assert "3/16" in lines[0] or "1/16" in lines[0]


def test_an_import_has_no_shards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "segment", "prepare", "x", "--from", "coco", "--out", "y", "--shard", "1/2"]) == 2
    assert "--shard is for preparing data" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_side_by_side_fill_one_cache(tmp_path: Path) -> None:
    """Two shards and an unsharded ``prepare`` at the same time; another cache is filled in this process."""
    data = folders(tmp_path / "data", count=20, value=255)
    config = {
        "data": {"class_path": "datamodules.FolderDataModule", "init_args": {"root": str(data), "num_workers": 0}},
        "stages": [
            {"name": "a", "size": 16, "batch_size": 2, "epochs": 1, "lr": 0.1},
            {"name": "b", "size": 24, "crop": 16, "batch_size": 2, "epochs": 1, "lr": 0.1},
        ],
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def start(cache: str, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "experiments/run.py"), "--task", "segment", "prepare"]
        options = ["--config", "tiny.yaml", f"--data.cache_dir={tmp_path / cache}"]
        return subprocess.Popen(
            [*command, *options, *words], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    processes = [start("shared", *words) for words in (["--shard", "1/2"], ["--shard=2/2"], [])]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert "shard 2/2, 10 of 20 images with masks" in outputs[1]
    assert outputs[1].splitlines()[-1].endswith(f"--config tiny.yaml --data.cache_dir={tmp_path / 'shared'}")
    segment(data, tmp_path / "alone").prepare(STAGES)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
    assert len(contents(tmp_path / "shared")) == 2 * 2 * 20
    assert not list((tmp_path / "shared").rglob("*.part"))
    summaries = []
    for cache in ("shared", "alone"):
        ready = segment(data, tmp_path / cache)
        ready.prepare(STAGES)
        summaries.append(ready._load().check)
    assert summaries[0] == summaries[1]


def test_after_the_shards_nothing_is_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folders(tmp_path / "data", count=11)
    segment(data, tmp_path / "alone").prepare(STAGES)
    expected = capsys.readouterr().out
    for number in (1, 2, 3):
        segment(data, tmp_path / "shared").prepare_shard(STAGES, Shard(number, 3))
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
    capsys.readouterr()

    def decode(*arguments: object, **options: object) -> None:
        raise AssertionError(arguments)

    with monkeypatch.context() as patched:
        patched.setattr(check, "check_pair", decode)
        patched.setattr("datamodules.cache.cache._encode", decode)
        segment(data, tmp_path / "shared").prepare(STAGES)
    printed = capsys.readouterr().out
    kept = [line for line in expected.splitlines() if "cache at" not in line and "data:" not in line]
    assert [line for line in printed.splitlines() if "cache at" not in line and "data:" not in line] == kept


def test_images_without_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = save_images(tmp_path / "data", count=13)
    patches(data, tmp_path / "alone", keep_pct=0.7).prepare([SR_STAGE])
    for number in (1, 2):
        patches(data, tmp_path / "shared", keep_pct=0.7).prepare_shard([SR_STAGE], Shard(number, 2))
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone") != {}

    def decode(*arguments: object, **options: object) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr("datamodules.images.check._decode", decode)
    again = patches(data, tmp_path / "shared", keep_pct=0.7)
    again.prepare([SR_STAGE])
    first = patches(data, tmp_path / "alone", keep_pct=0.7)
    assert again.load_splits().splits == first.load_splits().splits


def test_a_file_that_changed_since_its_shard_is_checked_again(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", count=6)
    for number in (1, 2):
        segment(data, tmp_path / "cache").prepare_shard(STAGES, Shard(number, 2))
    (data / "masks/p3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"masks/p3\.png"):
        segment(data, tmp_path / "cache").prepare(STAGES)


def problems_of(error: pytest.ExceptionInfo[DataError]) -> set[str]:
    return {line.strip() for line in str(error.value).splitlines() if line.startswith("  ")}


def test_the_shards_and_the_last_prepare_find_the_problems_of_one_prepare(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", count=9)
    (data / "images/p0.png").write_bytes(b"no image")
    save(data / "masks/p5.png", np.zeros((8, 8), np.uint8))
    save(data / "masks/p7.png", disc(7) * np.uint8(9))
    with pytest.raises(DataError) as alone:
        segment(data, tmp_path / "alone").prepare(STAGES)
    found: set[str] = set()
    for number in (1, 2, 3):
        with pytest.raises(DataError) as error:
            segment(data, tmp_path / "shared").prepare_shard(STAGES, Shard(number, 3))
        found |= problems_of(error)
    assert found == problems_of(alone)
    assert len(found) == 3
    assert len(contents(tmp_path / "shared")) == 2 * 2 * 6  # the six others are cached
    with pytest.raises(DataError) as last:
        segment(data, tmp_path / "shared").prepare(STAGES)
    assert problems_of(last) == found


def test_skipped_files_are_listed_by_their_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folders(tmp_path / "data", count=4)
    (data / "images/p2.png").write_bytes(b"no image")
    segment(data, tmp_path / "cache", on_bad="skip").prepare_shard(STAGES, Shard(1, 2))
    assert "cannot be used (on_bad: skip): images/p2.png" in capsys.readouterr().out


def test_what_only_the_set_tells_is_left_to_prepare(tmp_path: Path) -> None:
    """Turned masks of which sizes do not tell whether they were drawn upright, and bits that are measured."""
    data = folders(tmp_path / "data", count=4)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(noise(1)).save(data / "images/p1.png", exif=exif)
    deep = tmp_path / "deep"
    deep.mkdir()
    for number in range(4):
        Image.fromarray(noise(number, 40, 60)[:, :, 0].astype(np.uint16) * (4 if number else 16)).save(
            deep / f"{number}.png"
        )
    for number in (1, 2):
        segment(data, tmp_path / "a").prepare_shard(STAGES[:1], Shard(number, 2))
        patches(deep, tmp_path / "b", bits="auto").prepare_shard([SR_STAGE], Shard(number, 2))
    assert len(contents(tmp_path / "a")) == 2 * 4 - 1
    assert contents(tmp_path / "b") == {}
    segment(data, tmp_path / "a").prepare(STAGES[:1])
    patches(deep, tmp_path / "b", bits="auto").prepare([SR_STAGE])
    assert len(contents(tmp_path / "a")) == 2 * 4
    assert len(contents(tmp_path / "b")) == 4


def test_shards_share_the_limit_of_the_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the copies of another set there is space for half of these; a limit below all of them allows none."""
    data = folders(tmp_path / "data", count=12)
    segment(data, tmp_path / "whole").prepare(STAGES[:1])
    size = sum(len(content) for content in contents(tmp_path / "whole").values())
    other = tmp_path / "cache/images/other"
    other.parent.mkdir(parents=True)
    other.write_bytes(bytes(size // 2))
    for number in (1, 2, 3):
        segment(data, tmp_path / "cache", cache_gb=size / 1e9).prepare_shard(STAGES[:1], Shard(number, 3))
        segment(data, tmp_path / "none", cache_gb=size / 1e9 / 2).prepare_shard(STAGES[:1], Shard(number, 3))
    held = sum(len(content) for content in contents(tmp_path / "cache").values())
    assert 0 < held <= size / 2
    assert contents(tmp_path / "none") == {}
    assert capsys.readouterr().out.count("cache at 16 x 16 px: no copies") == 3


def test_damaged_results_of_a_shard_are_not_used(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", count=6)
    for number in (1, 2):
        segment(data, tmp_path / "cache").prepare_shard(STAGES, Shard(number, 2))
    one, other = sorted((tmp_path / "cache/checks").glob("*.shards/*.json"))
    one.write_bytes(one.read_bytes()[:100])
    other.write_text(other.read_text(encoding="utf-8").replace("height", "depth"), encoding="utf-8")
    damaged = segment(data, tmp_path / "cache")
    damaged.prepare(STAGES)
    shutil.rmtree(tmp_path / "cache")
    fresh = segment(data, tmp_path / "cache")
    fresh.prepare(STAGES)
    assert damaged._load().check == fresh._load().check
