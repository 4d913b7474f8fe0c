import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules.sample_cars import draw_car, ensure_sample_cars
from datamodules.sample_cars.camera import EYE, heading, project, rays, turn


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_sample_cars(tmp_path_factory.mktemp("cars"), cars=1, views=2, seed=3, workers=1)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_layout_is_kaggles(small_set: Path) -> None:
    images = sorted((small_set / "train").iterdir())
    assert [path.name[12:] for path in images] == ["_01.jpg", "_02.jpg"]
    int(images[0].name[:12], 16)
    for path in images:
        with Image.open(path) as image, Image.open(small_set / "train_masks" / f"{path.stem}_mask.gif") as mask:
            assert (image.size, image.mode) == ((1918, 1280), "RGB")
            assert (mask.size, mask.mode) == ((1918, 1280), "P")
            assert np.unique(np.asarray(mask)).tolist() == [0, 1]
            assert mask.getpalette()[:6] == [0, 0, 0, 255, 255, 255]
    with (small_set / "metadata.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [images[0].name[:12]]
    assert list(rows[0]) == ["id", "year", "make", "model", "trim1", "trim2"]


def test_runs_in_the_list_decode_to_the_masks(small_set: Path) -> None:
    with (small_set / "train_masks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row in rows:
        numbers = [int(number) for number in row["rle_mask"].split()]
        decoded = np.zeros(1918 * 1280, np.uint8)
        for start, length in zip(numbers[::2], numbers[1::2], strict=True):
            decoded[start - 1 : start - 1 + length] = 1
        with Image.open(small_set / "train_masks" / row["img"].replace(".jpg", "_mask.gif")) as mask:
            assert np.array_equal(decoded.reshape(1280, 1918), np.asarray(mask))


def test_a_set_that_was_cut_off_is_finished_with_the_same_bytes(small_set: Path, tmp_path: Path) -> None:
    whole = contents(small_set)
    again = tmp_path / small_set.name
    for name in ("train", "train_masks"):
        (again / name).mkdir(parents=True)
    kept = next(name for name in whole if name.endswith("_01.jpg"))
    (again / kept).write_bytes(whole[kept])  # its mask is missing, and so is all of the second view
    assert ensure_sample_cars(tmp_path, cars=1, views=2, seed=3, workers=1) == again
    assert contents(again) == whole


def test_a_complete_set_is_not_drawn_again(small_set: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small_set.rglob("*")}
    assert ensure_sample_cars(small_set.parent, cars=1, views=2, seed=3) == small_set
    assert {path: path.stat().st_mtime_ns for path in small_set.rglob("*")} == before


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cars=0"):
        ensure_sample_cars(tmp_path, cars=0)


def test_another_seed_gives_another_car() -> None:
    first, second = draw_car(0, 4), draw_car(1, 4)
    assert not np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], second[0])


def test_camera_looks_down_on_the_turntable() -> None:
    x, y, depth = project(np.array([0.0, 0.0, 0.0]))
    assert x / depth == pytest.approx(1918 / 2)
    assert 640 < y / depth < 900
    spot = EYE + 7.0 * rays(np.array(300.0), np.array(900.0))
    assert project(spot) == pytest.approx([300.0 * 7, 900.0 * 7, 7.0])


@pytest.mark.parametrize(("view", "nose"), [(1, (0, -1, 0)), (5, (-1, 0, 0)), (9, (0, 1, 0)), (13, (1, 0, 0))])
def test_the_car_turns_clockwise_from_the_front(view: int, nose: tuple[int, int, int]) -> None:
    assert turn(heading(view, 16)) @ [1.0, 0.0, 0.0] == pytest.approx(nose, abs=1e-12)


def test_mask_is_one_piece_and_stands_on_the_turntable() -> None:
    mask = draw_car(0, 6)[1]
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    assert stats[1:, cv2.CC_STAT_AREA].max() > 0.999 * mask.sum(), count
    rows = np.flatnonzero(mask.any(axis=1))
    assert 100 < rows[0] < 480
    assert 750 < rows[-1] < 1000
