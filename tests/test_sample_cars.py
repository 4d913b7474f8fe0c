import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.interpolate import PchipInterpolator

from datamodules.samples.cars import draw_car, ensure_sample_cars
from datamodules.samples.cars.camera import AXES, EYE, FOCAL, HEIGHT, WIDTH, heading, project, rays, turn
from datamodules.samples.cars.car import build_car
from datamodules.samples.cars.curves import monotone_cubic
from datamodules.samples.cars.design import PAINTS, SHAPES, design_car
from datamodules.samples.cars.lettering import LENGTH
from datamodules.samples.cars.mesh import Part, grid
from datamodules.samples.cars.raster import place_meshes, rasterise
from datamodules.samples.cars.render import render_view
from datamodules.samples.cars.solids import superellipsoid
from datamodules.samples.cars.studio import Wall, backdrop
from datamodules.samples.cars.variety import MORE_PAINTS, MORE_SHAPES, varied_design


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_sample_cars(tmp_path_factory.mktemp("cars"), cars=1, views=2, seed=3, workers=1)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_layout_is_that_of_carvana(small_set: Path) -> None:
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


def test_csv_decodes_to_the_masks(small_set: Path) -> None:
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


def test_interrupted_set_is_completed_with_the_same_bytes(small_set: Path, tmp_path: Path) -> None:
    whole = contents(small_set)
    again = tmp_path / small_set.name
    for name in ("train", "train_masks"):
        (again / name).mkdir(parents=True)
    kept = next(name for name in whole if name.endswith("_01.jpg"))
    (again / kept).write_bytes(whole[kept])  # its mask is missing, and so is all of the second view
    assert ensure_sample_cars(tmp_path, cars=1, views=2, seed=3, workers=1) == again
    assert contents(again) == whole


def test_complete_set_is_not_rendered_again(small_set: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small_set.rglob("*")}
    assert ensure_sample_cars(small_set.parent, cars=1, views=2, seed=3) == small_set
    assert {path: path.stat().st_mtime_ns for path in small_set.rglob("*")} == before


def test_zero_cars_are_refused(tmp_path: Path) -> None:
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
def test_car_turns_clockwise_from_the_front(view: int, nose: tuple[int, int, int]) -> None:
    assert turn(heading(view, 16)) @ [1.0, 0.0, 0.0] == pytest.approx(nose, abs=1e-12)


def test_mask_is_connected_and_on_the_turntable() -> None:
    mask = draw_car(0, 6)[1]
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    assert stats[1:, cv2.CC_STAT_AREA].max() > 0.999 * mask.sum(), count
    rows = np.flatnonzero(mask.any(axis=1))
    assert 100 < rows[0] < 480
    assert 750 < rows[-1] < 1000


def seen_by_opencv(points: np.ndarray) -> np.ndarray:
    """Pixel positions by OpenCV's camera model."""
    inner = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    rotation, _ = cv2.Rodrigues(AXES)
    return cv2.projectPoints(points.astype(np.float64), rotation, -AXES @ EYE, inner, None)[0][:, 0]


def test_mask_extent_equals_the_projected_car() -> None:
    design = replace(design_car(0, 2), yaw=0.0, off_center=(0.0, 0.0))
    mask = render_view(design, 6, views=16, grain=np.random.default_rng(0))[1]
    points = np.concatenate([part.mesh.points[part.mesh.faces.reshape(-1)] for part in build_car(design).outer])
    pixels = seen_by_opencv(points @ turn(heading(6, 16)).T)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert [columns[0], rows[0]] == pytest.approx(pixels.min(axis=0), abs=3)
    assert [columns[-1] + 1, rows[-1] + 1] == pytest.approx(pixels.max(axis=0), abs=3)


def test_paint_changes_only_pixels_of_the_mask() -> None:
    design = design_car(0, 1)
    images = [
        render_view(replace(design, paint=PAINTS[name]), 3, views=16, grain=np.random.default_rng(0))
        for name in ("White", "Black")
    ]
    (white, mask), (black, other) = images
    assert np.array_equal(mask, other)
    near = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0  # pixels that are car by less than half are mixed
    assert np.array_equal(white[~near], black[~near])
    assert white[mask > 0].mean() > black[mask > 0].mean() + 40


def test_coverage_of_a_square_is_its_area() -> None:
    x, z = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(0.3, 1.3, 11), indexing="ij")
    square = grid(np.stack([x, np.zeros_like(x), z], axis=-1), np.zeros((21, 11, 2)), closed=True)
    seen = rasterise(place_meshes([Part(square)], [], np.eye(3), np.zeros(3)))
    corners = seen_by_opencv(np.array([[-1, 0, 0.3], [1, 0, 0.3], [1, 0, 1.3], [-1, 0, 1.3]]))
    assert (seen.front >= 0).mean() * seen.front.size / 4 == pytest.approx(
        cv2.contourArea(corners.astype(np.float32)), rel=5e-3
    )
    assert (seen.behind < 0).all()


def test_mask_is_where_more_than_half_of_a_pixel_is_car() -> None:
    design = replace(design_car(0, 2), yaw=0.0, off_center=(0.0, 0.0))
    mask = render_view(design, 9, views=16, grain=np.random.default_rng(0))[1]
    car = build_car(design)
    seen = rasterise(place_meshes(car.outer, car.inner, turn(heading(9, 16)), np.zeros(3)))
    rows, columns = seen.front.shape[0] // 2, seen.front.shape[1] // 2
    share = cv2.resize((seen.front >= 0).astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    part = mask[seen.top : seen.top + rows, seen.left : seen.left + columns]
    assert np.array_equal(part, share > 0.5)
    assert mask.sum() == part.sum()
    assert (share == 0.5).sum() > 0  # so that the limit itself was tried


def test_curve_agrees_with_scipys_between_the_ends() -> None:
    knots = ((0.0, 0.2), (0.5, 0.9), (1.1, 0.9), (1.5, 0.3), (2.6, 0.1), (3.0, 1.0))
    x = np.linspace(0.5, 2.6, 50)
    expected = PchipInterpolator(*zip(*knots, strict=True))(x)
    assert monotone_cubic(knots, x) == pytest.approx(expected, abs=1e-12)
    assert monotone_cubic(knots, [-1.0, 9.0]) == pytest.approx([0.2, 1.0])


def test_round_pod_is_a_sphere_with_outward_normals() -> None:
    ball = superellipsoid((0.5, 0.5, 0.5), 2.0, (0.0, 0.0), steps=24)
    a, b, c = (ball.points[ball.faces[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.02)
    assert (ball.normals * ball.points / 0.5).sum(axis=1).min() > 0.98


def test_set_has_every_shape_and_no_paint_twice() -> None:
    designs = [design_car(5, car) for car in range(12)]
    assert {design.shape.name for design in designs} == {shape.name for shape in SHAPES}
    assert len({design.paint_name for design in designs}) == 12
    assert {design.paint_name for design in designs} >= {"White", "Silver", "Pearl"}  # nearly the color of the wall


def test_varied_set_has_every_shape_and_paint_and_no_two_alike() -> None:
    designs = [varied_design(1, car) for car in range(276)]
    assert {design.shape.name for design in designs} == {shape.name for shape in MORE_SHAPES}
    assert {design.paint_name for design in designs} == set(MORE_PAINTS)
    assert len({(design.shape.name, design.paint_name) for design in designs}) == 276
    assert len({design.wall for design in designs}) == 276


@pytest.mark.parametrize("car", [4, 10])  # pickups with one and two rows of seats
def test_varied_pickup_is_whole(car: int) -> None:
    assert varied_design(1, car).shape.bed
    mask = draw_car(1, 5, car=car, views=8, varied=True)[1]
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    assert stats[1:, cv2.CC_STAT_AREA].max() > 0.999 * mask.sum(), count
    assert 0.05 < mask.mean() < 0.4


def test_lettering_moves_along_the_wall() -> None:
    def middle(wall: Wall) -> np.ndarray:
        """Middle of the box of dark pixels, (x, y)."""
        rows, columns = np.nonzero(backdrop(wall)[: HEIGHT // 3, :, 1] < 150)
        return np.array([columns.min() + columns.max(), rows.min() + rows.max()]) / 2

    def ends(along: float, lift: float) -> np.ndarray:
        """Both ends of the lettering on the wall, 12 m around a center 6 m nearer than the turntable's."""
        angles = (np.array([-LENGTH, LENGTH]) / 2 + along) / 12
        return np.stack([12 * np.sin(angles), 12 * np.cos(angles) - 6, np.full(2, 1.7 + lift)], axis=-1)

    expected = (seen_by_opencv(ends(0.1, 0.1)) - seen_by_opencv(ends(0.0, 0.0))).mean(axis=0)
    assert middle(Wall(along=0.1, lift=0.1)) - middle(Wall()) == pytest.approx(expected, abs=1.5)


def test_wall_is_as_dark_as_asked() -> None:
    ratio = backdrop(Wall(light=0.9))[20, :, 1] / backdrop()[20, :, 1]
    assert ratio == pytest.approx(np.full(WIDTH, 0.9), abs=0.01)


@pytest.mark.slow
def test_workers_render_the_same_bytes(tmp_path: Path) -> None:
    one = ensure_sample_cars(tmp_path / "one", cars=2, views=6, seed=9, workers=1)
    two = ensure_sample_cars(tmp_path / "two", cars=2, views=6, seed=9, workers=2)
    assert contents(one) == contents(two)
