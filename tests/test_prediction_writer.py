"""Files written by ``predict``; no partial file is ever left."""

import csv
import errno
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from callbacks.errors import OutputError
from callbacks.output_file import output_file, save_jpeg, save_png
from callbacks.prediction.segmentation import SegmentationFiles
from callbacks.prediction.writer import PredictionWriter, SourceImage, Table
from datamodules.batches import PredictBatch
from datamodules.errors import DataError
from datamodules.io.image import read_image
from datamodules.io.rle import encode_rle
from datamodules.prediction.datamodule import PredictDataModule, PredictDataset
from datamodules.prediction.image_list import Listed

BLUE = np.array([[0, 0, 255]], np.uint8)


class RedIsForeground(LightningModule):
    """A network whose probability is the red channel."""

    def predict_step(self, batch: PredictBatch, _index: int) -> Tensor:
        return batch["image"][:, :1]


def files(folder: Path, *kinds: str, **options: Any) -> SegmentationFiles:
    settings: dict[str, Any] = {"classes": ("car",), "colors": BLUE, "threshold": 0.5, **options}
    return SegmentationFiles(folder=folder, kinds=frozenset(kinds), **settings)


def red_left_half(height: int, width: int) -> NDArray[np.uint8]:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    return pixels


def predict(writer: PredictionWriter, data: PredictDataModule, **options: Any) -> None:
    trainer = Trainer(
        accelerator="cpu", logger=False, callbacks=[writer], enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, **options,
    )  # fmt: skip
    trainer.predict(RedIsForeground(), datamodule=data, return_predictions=False)


def prepared(
    images: list[Path], *, size: int = 8, keep: bool = True, names: list[str] | None = None
) -> PredictDataModule:
    names = names or [path.stem for path in images]
    listed = [Listed(path=path, name=name) for path, name in zip(images, names, strict=True)]
    return PredictDataModule(images=listed, size=size, batch_size=2, num_workers=0, keep_originals=keep)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Three images of different shape; the second cannot be read."""
    paths = [tmp_path / "in" / name for name in ("one.png", "two.png", "three.png")]
    paths[0].parent.mkdir()
    Image.fromarray(red_left_half(20, 32)).save(paths[0])
    paths[1].write_bytes(b"not an image")
    Image.fromarray(red_left_half(48, 16)).save(paths[2])
    return paths


pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def test_every_output_has_the_size_of_its_image(tmp_path: Path, images: list[Path]) -> None:
    out = tmp_path / "out"
    kinds = ("mask", "cutout", "overlay", "composite", "probability")
    background = np.full((5, 5, 3), (0, 255, 0), np.uint8)
    writer = PredictionWriter(files=files(out, *kinds, background=background))
    predict(writer, prepared(images))

    assert writer.written == 2
    assert len(writer.problems) == 1
    assert "two.png" in writer.problems[0]
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == sorted(
        f"{kind}/{name}{'.jpg' if kind in ('overlay', 'composite') else '.png'}"
        for kind in kinds
        for name in ("one", "three")
    )
    for path in out.rglob("one.*"):
        with Image.open(path) as image:
            assert image.size == (32, 20), path

    mask = np.asarray(Image.open(out / "mask/one.png"))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, np.where(np.arange(32) < 16, 255, 0)[None].repeat(20, axis=0))
    cutout = np.asarray(Image.open(out / "cutout/one.png"))
    assert cutout.shape == (20, 32, 4)
    np.testing.assert_array_equal(cutout[10, 4], [255, 0, 0, 255])
    assert cutout[10, 28, 3] == 0
    probability = np.asarray(Image.open(out / "probability/one.png"))
    assert probability.max() == 65535  # 16 bits all the way
    composite = np.asarray(Image.open(out / "composite/one.jpg")).astype(int)
    np.testing.assert_allclose(composite[10, [4, 28]], [[255, 0, 0], [0, 255, 0]], atol=6)
    overlay = np.asarray(Image.open(out / "overlay/one.jpg")).astype(int)
    np.testing.assert_allclose(overlay[10, [4, 28]], [[153, 0, 102], [0, 0, 0]], atol=6)


def test_several_classes_are_written_as_numbers_with_a_palette(tmp_path: Path) -> None:
    probs = np.zeros((3, 4, 4), np.float32)
    probs[0], probs[2, :, 2:] = 0.4, 0.6
    colors = np.array([[10, 20, 30], [1, 1, 1], [200, 100, 50]], np.uint8)
    some = files(tmp_path, "mask", "probability", classes=("sky", "road", "car"), colors=colors)
    some.write(probs, SourceImage(name="street", path="street.jpg", size=(8, 8), pixels=None))
    with Image.open(tmp_path / "mask/street.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.unique(np.asarray(image)), [0, 2])
        np.testing.assert_array_equal(np.asarray(image.convert("RGB"))[0, 7], [200, 100, 50])
    written = set(tmp_path.rglob("*.png"))
    assert written == {
        tmp_path / f"{folder}/street.png"
        for folder in ("mask", "probability/sky", "probability/road", "probability/car")
    }
    assert written == set(some.paths("street"))
    assert np.asarray(Image.open(tmp_path / "probability/car/street.png"))[0, 7] == round(0.6 * 65535)


def test_cut_out_keeps_the_selected_classes(tmp_path: Path) -> None:
    probs = np.zeros((3, 4, 4), np.float32)
    probs[1], probs[2] = 0.5, 0.5  # neither alone is certain, both together are
    some = files(
        tmp_path, "cutout", classes=("sky", "road", "car"), colors=np.zeros((3, 3), np.uint8), cutout_classes=(1, 2)
    )
    some.write(probs, SourceImage(name="x", path="x.jpg", size=(8, 8), pixels=np.full((8, 8, 3), 9, np.uint8)))
    assert np.asarray(Image.open(tmp_path / "cutout/x.png"))[..., 3].min() == 255


def test_table_holds_each_image_once_in_order(tmp_path: Path, images: list[Path]) -> None:
    table = Table(path=tmp_path / "out" / "submission.csv", header="img,rle_mask")
    odd = tmp_path / "in" / 'a, "b".png'  # needs quoting
    Image.fromarray(red_left_half(2, 4)).save(odd)
    writer = PredictionWriter(files=files(tmp_path / "out", run_lengths=encode_rle), table=table)
    predict(writer, prepared([odd, *images], keep=False))
    with table.path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["img", 'a, "b".png', "one.png", "three.png"]
    assert rows[1][1] == "1 2 5 2"  # 2 x 4: the two left pixels of both rows
    assert [path.name for path in table.path.parent.iterdir()] == ["submission.csv"]


def test_ranks_share_the_images_and_write_the_same_table(tmp_path: Path) -> None:
    listed = [Listed(path=Path(f"{place}.jpg"), name=str(place)) for place in range(5)]
    data = PredictDataModule(images=listed, size=4, batch_size=2, num_workers=0, keep_originals=False)

    class Place:
        global_rank, world_size = 1, 2

    data.trainer = Place()  # type: ignore[assignment]
    mine = [index for batch in data.predict_dataloader() for index in batch["index"]]
    assert mine == [1, 3]


def test_masks_alone_do_not_read_the_image(images: list[Path]) -> None:
    listed = [Listed(path=path, name=path.stem) for path in images]
    light = PredictDataset(images=listed, size=8, keep_originals=False)[2]
    full = PredictDataset(images=listed, size=8, keep_originals=True)[2]
    assert light.original is None
    assert light.size == (48, 16)
    assert full.original is not None
    assert full.original.shape == (48, 16, 3)
    assert torch.equal(light.image, full.image)


def test_a_file_that_cannot_be_read_is_replaced_at_the_size_of_the_others(images: list[Path]) -> None:
    """A network may need 32 pixels and more on each side."""
    listed = [Listed(path=path, name=path.stem) for path in images]
    for whole, dtype in ((True, torch.uint8), (False, torch.float32)):
        blank = PredictDataset(images=listed, size=64, whole=whole, keep_originals=False)[1]
        assert blank.problem
        assert blank.image.shape == (3, 64, 64)
        assert blank.image.dtype == dtype


def test_rotated_image_gets_an_upright_mask(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: 90 degrees clockwise to be seen upright
    Image.fromarray(red_left_half(24, 40)).save(tmp_path / "side.jpg", exif=exif, quality=95, subsampling=0)
    writer = PredictionWriter(files=files(tmp_path / "out", "mask", "cutout"))
    predict(writer, prepared([tmp_path / "side.jpg"]))
    mask = np.asarray(Image.open(tmp_path / "out/mask/side.png"))
    assert mask.shape == (40, 24)
    assert mask[5].all()  # what was left is on top
    assert not mask[35].any()
    assert np.asarray(Image.open(tmp_path / "out/cutout/side.png"))[5, 12, 0] > 240


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (9, 7, 4), (1, 1), (2, 3, 4)])
def test_every_reader_gets_the_pixels_that_were_saved(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    save_png(tmp_path / "x.png", pixels)
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == {2: "L", 3: {3: "RGB", 4: "RGBA"}.get(shape[-1])}[len(shape)]
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_full_disk_keeps_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "mask.png"
    save_png(target, np.zeros((4, 4), np.uint8))
    before = target.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"mask\.png could not be written \(No space left on device\)"):
        save_png(target, np.ones((4, 4), np.uint8))
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_existing_file_is_replaced_atomically(tmp_path: Path) -> None:
    target = tmp_path / "mask.png"
    save_png(target, np.zeros((4, 4), np.uint8))
    with target.open("rb") as reader:
        save_png(target, np.ones((4, 4), np.uint8))
        with Image.open(reader) as image:
            assert not np.asarray(image).any()  # who reads the old one goes on reading it
    assert np.asarray(Image.open(target)).all()


def test_kill_leaves_no_partial_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "x.png"
    with pytest.raises(KeyboardInterrupt), output_file(target) as file:  # noqa: PT012
        file.write(b"half")
        raise KeyboardInterrupt
    assert list(target.parent.iterdir()) == []


def test_failed_write_stops_the_run_and_removes_the_partial_table(tmp_path: Path, images: list[Path]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mask").write_text("a file where the folder should be")
    table = Table(path=tmp_path / "out" / "submission.csv", header="img,rle_mask")
    writer = PredictionWriter(files=files(tmp_path / "out", "mask", run_lengths=encode_rle), table=table)
    with pytest.raises(OutputError, match=r"mask/one\.png could not be written"):
        predict(writer, prepared(images))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mask"]


def test_image_that_changes_after_it_was_read_is_a_problem(tmp_path: Path, images: list[Path]) -> None:
    def gone(path: Path) -> NDArray[np.uint8]:
        if path.stem == "one":
            raise DataError(f"{path}: cannot be read: No such file or directory")
        return read_image(path)

    writer = PredictionWriter(files=files(tmp_path / "out", "mask", "overlay", read=gone))
    predict(writer, prepared(images, keep=False))
    assert writer.written == 1
    assert [Path(problem.partition(":")[0]).name for problem in writer.problems] == ["one.png", "two.png"]
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"three.png", "three.jpg"}


def test_jpegs_are_those_of_pillow(tmp_path: Path) -> None:
    pixels = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8), (120, 90))
    save_jpeg(tmp_path / "x.jpg", np.asarray(pixels, np.uint8))
    Image.fromarray(pixels).save(tmp_path / "y.jpg", quality=95, subsampling=0)
    ours, theirs = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("x.jpg", "y.jpg"))
    assert abs(ours - theirs).max() <= 2
