"""Images and masks in tar shards give the samples that the same files in folders give."""

from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError
from datamodules.loading.sampler import Key
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from tests.helpers.tar_shards import write_tar
from tests.helpers.tiny_images import disc, noise

STAGE = Stage(name="16", size=16, batch_size=2, epochs=1, lr=0.1, augment=True)


def encoded(pixels: Any, kind: str) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def sample(number: int, mask: str = "mask.png") -> dict[str, bytes]:
    """A webdataset sample of image, mask and label."""
    key = f"b/{number:03}"
    content = encoded(disc(number), "PNG")
    return {f"{key}.cls": b"1", f"{key}.jpg": encoded(noise(number), "JPEG"), f"{key}.{mask}": content}


def samples(first: int, last: int, mask: str = "mask.png") -> dict[str, bytes]:
    return {name: content for number in range(first, last) for name, content in sample(number, mask).items()}


def data(root: Path, cache: Path, **options: Any) -> FolderDataModule:
    made = FolderDataModule(root=root, cache_dir=cache, num_workers=0, **options)
    made.prepare([STAGE])
    return made


@pytest.mark.parametrize("mask", ["mask.png", "seg.png", "png"])
def test_samples_are_those_of_folders(tmp_path: Path, mask: str) -> None:
    write_tar(tmp_path / "tar/s-0.tar", samples(0, 5, mask))
    write_tar(tmp_path / "tar/s-1.tar", samples(5, 8, mask))
    shards = data(tmp_path / "tar", tmp_path / "a", group_pattern=r"(\d)$")
    for number in range(8):
        for name, content in sample(number).items():
            kind = "masks" if "mask" in name else "images"
            if not name.endswith("cls"):
                target = tmp_path / f"plain/{kind}/{name.replace('.mask', '')}"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    plain = data(tmp_path / "plain", tmp_path / "b", group_pattern=r"(\d)$")
    for split in ("train", "val"):
        ours, theirs = (getattr(module, f"{split}_set")(STAGE) for module in (shards, plain))
        assert len(ours) == len(theirs) > 0
        for index in range(len(ours)):
            one, other = ours[Key(2, index)], theirs[Key(2, index)]
            assert one["name"].split("/", 1)[1] == other["name"].split("/", 1)[1]
            assert np.array_equal(one["image"], other["image"])
            assert np.array_equal(one["mask"], other["mask"])


def test_shards_name_splits_and_a_window_orders_them(tmp_path: Path) -> None:
    for number in range(3):
        write_tar(tmp_path / f"tar/train-{number}.tar", samples(4 * number, 4 * number + 4))
    write_tar(tmp_path / "tar/val-0.tar", samples(12, 14))
    made = data(tmp_path / "tar", tmp_path / "a", shard_window=2)
    assert [made.val_set(STAGE)[Key(0, index)]["name"] for index in range(2)] == [
        "val-0.tar/b/012.jpg",
        "val-0.tar/b/013.jpg",
    ]
    window = made.window(STAGE)
    assert window is not None
    assert window.samples == (4, 4, 4)
    write_tar(tmp_path / "tar/more-0.tar", samples(20, 21))
    with pytest.raises(DataError, match=r"more-0\.tar: shard in no split"):
        data(tmp_path / "tar", tmp_path / "a")


def test_samples_without_exactly_one_mask_are_named(tmp_path: Path) -> None:
    files = samples(0, 4) | {"x.jpg": sample(5)["b/005.jpg"], "y.a.png": b"", "y.b.png": b"", "y.jpg": b""}
    write_tar(tmp_path / "tar/s-0.tar", files)
    with pytest.raises(DataError) as caught:
        data(tmp_path / "tar", tmp_path / "a")
    message = str(caught.value)
    assert "s-0.tar/x.jpg: image without a mask (call the files of a sample NAME.jpg and NAME.mask.png)" in message
    assert "sample that is no image with one mask (it has y.a.png, y.b.png, y.jpg; call" in message


def test_a_mask_word_can_be_named(tmp_path: Path) -> None:
    both = dict(samples(0, 4, "matte.png").items())
    write_tar(tmp_path / "tar/s-0.tar", both | {f"b/{n:03}.depth.png": b"x" for n in range(4)})
    with pytest.raises(DataError, match="4 x sample that is no image with one mask"):
        data(tmp_path / "tar", tmp_path / "a", mask_suffix=".matte")
    write_tar(tmp_path / "tar/s-0.tar", both)
    assert len(data(tmp_path / "tar", tmp_path / "a", mask_suffix=".matte").train_set(STAGE)) == 4 - 1  # type: ignore[arg-type]


def test_options_of_folders_are_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "tar/s-0.tar", samples(0, 4))
    for options in ({"image_dir": "a"}, {"channels": 4}):
        with pytest.raises(DataError, match="are for folders, not for tar shards: leave them out"):
            data(tmp_path / "tar", tmp_path / "a", **options)


def test_remote_shards_are_read_and_remote_folders_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s-0.tar", samples(0, 4))
    system = fsspec.filesystem("memory")
    try:
        system.pipe_file("/segment/s-0.tar", path.read_bytes())
        system.pipe_file("/plain/a.jpg", path.read_bytes())
        remote = data(Path("memory://segment/s-0.tar"), tmp_path / "a")
        local = data(path, tmp_path / "b")
        for index in range(3):
            one, other = (module.train_set(STAGE)[Key(1, index)] for module in (remote, local))
            assert np.array_equal(one["image"], other["image"])
            assert np.array_equal(one["mask"], other["mask"])
        with pytest.raises(DataError, match="from a local folder or from tar shards: pack them"):
            data(Path("memory://plain"), tmp_path / "a")
    finally:
        system.store.clear()
