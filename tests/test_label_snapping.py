"""A rough stroke finds the outline of what it was drawn on, and changes nothing elsewhere."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import norm
from skimage.data import coffee

from datamodules.io.image import read_image
from datamodules.segmentation.mask_io import read_mask_values
from experiments.benchmarks.simulated_person import dice, paint, snap_stroke, strokes_needed
from experiments.label.color_models import ColorModels
from experiments.label.folder import LabelFolder
from experiments.label.open_image import OpenImage
from experiments.label.scene import Scene, resize_mask
from experiments.label.shapes import Mask, Point, stroke_pixels
from experiments.label.snapping import guided_filter, refine, snap
from experiments.label.tools import apply_tool
from tests.helpers.real_data import needs, real

CARVANA = real("carvana")


def ellipse(height: int = 200, width: int = 300) -> tuple[NDArray[np.uint8], Mask]:
    """A noisy ellipse of one color on another, with soft edges, and its mask."""
    rows, columns = np.mgrid[:height, :width]
    inside = ((columns - 0.5 * width) / (0.3 * width)) ** 2 + ((rows - 0.5 * height) / (0.3 * height)) ** 2 <= 1
    image = np.where(inside[..., None], (170, 80, 60), (90, 120, 150)).astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    image += np.random.default_rng(0).normal(0, 8, image.shape)
    return image.clip(0, 255).astype(np.uint8), inside


def scene_of(image: NDArray[np.uint8], current: Mask) -> Scene:
    empty = np.zeros_like(current)
    return Scene(image=image, current=current, inside=empty, outside=empty)


def stroke_for(shape: tuple[int, ...], points: list[Point], radius: float) -> Mask:
    return stroke_pixels((shape[0], shape[1]), points, radius)


@pytest.mark.parametrize("factor", [1, 4])
def test_one_stroke_finds_an_ellipse(factor: int) -> None:
    image, truth = ellipse(200 * factor, 300 * factor)
    radius = 12.0 * factor
    stroke = stroke_for(truth.shape, [(90.0 * factor, 100.0 * factor), (210.0 * factor, 100.0 * factor)], radius)
    assert dice(stroke, truth) < 0.5
    after = snap(scene_of(image, np.zeros_like(truth)), stroke, radius=radius)
    assert dice(after, truth) > 0.97
    assert after[stroke].all()


def test_stroke_that_takes_away_removes_what_leaked() -> None:
    image, truth = ellipse()
    leaked = truth | (np.mgrid[:200, :300][1] > 235)
    stroke = stroke_for(truth.shape, [(270.0, 40.0), (270.0, 160.0)], 10)
    after = snap(scene_of(image, leaked), stroke, radius=10, add=False)
    assert dice(after, truth) > 0.95 > dice(leaked, truth)
    assert not after[stroke].any()
    assert not (after & ~leaked).any()


def test_stroke_that_takes_away_snaps_in_labels_that_were_not_drawn(tmp_path: Path) -> None:
    image, truth = ellipse()
    leaked = truth | (np.mgrid[:200, :300][1] > 235)
    Image.fromarray(image).save(tmp_path / "p.png")
    (tmp_path / "masks").mkdir()
    Image.fromarray(leaked.astype(np.uint8) * 255).save(tmp_path / "masks" / "p.png")
    erase = {"tool": "brush", "class": 1, "erase": True, "snap": True, "radius": 10}
    with LabelFolder(tmp_path) as folder:
        opened = OpenImage(folder, folder.items[0])
        apply_tool(opened, erase | {"points": [[270, 40], [270, 160]]}, classes=1)
        assert dice(opened.labels == 1, truth) > 0.95 > dice(leaked, truth)
        square = {"tool": "polygon", "class": 1, "points": [[240, 20], [290, 20], [290, 60], [240, 60]]}
        apply_tool(opened, square, classes=1)
        apply_tool(opened, erase | {"points": [[265, 110], [265, 150]]}, classes=1)
        assert (opened.labels[22:58, 242:288] == 1).all()  # drawn by the person, so it stays
        for _ in range(3):
            apply_tool(opened, {"tool": "undo"}, classes=1)
        assert np.array_equal(opened.labels == 1, leaked)


def test_small_stroke_changes_nothing_far_away() -> None:
    image, truth = ellipse()
    stroke = stroke_for(truth.shape, [(150.0, 100.0)], 3)
    after = snap(scene_of(image, np.zeros_like(truth)), stroke, radius=3)
    rows, columns = np.nonzero(after)
    assert np.hypot(columns - 150, rows - 100).max() < 30


def test_correction_beside_labels_stays_near_and_a_new_stroke_spreads() -> None:
    image, truth = ellipse()
    stroke = stroke_for(truth.shape, [(100.0, 100.0), (140.0, 100.0)], 10)
    left = truth & (np.mgrid[:200, :300][1] < 90)
    corrected = snap(scene_of(image, left), stroke, radius=10) & ~left
    rows, columns = np.nonzero(corrected)
    assert np.hypot(columns - columns.clip(100, 140), rows - 100).max() < 3 * 10 + 2  # the brush and two radii more
    assert snap(scene_of(image, np.zeros_like(truth)), stroke, radius=10).sum() > 2 * corrected.sum()


def test_class_without_colors_of_its_own_does_not_spread_far() -> None:
    """A stroke on noise that is the same everywhere."""
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    stroke = stroke_for((200, 300), [(100.0, 100.0), (200.0, 100.0)], 10)
    after = snap(scene_of(image, np.zeros((200, 300), bool)), stroke, radius=10)
    rows, columns = np.nonzero(after)
    assert np.hypot(columns - columns.clip(100, 200), rows - 100).max() < 4.5 * 10


def test_overlap_is_the_error_of_the_colors_alone() -> None:
    """Two normal distributions, two standard deviations apart: a sixth is mistaken for the other."""
    random = np.random.default_rng(0)
    inside = np.mgrid[:200, :200][1] < 100
    gray = np.where(inside, 100.0, 120.0)[..., None] + random.normal(0, 10, (200, 200, 1))
    image = (gray + random.normal(0, 10, (200, 200, 3)) * (0, 1, 1)).round().astype(np.uint8)
    models = ColorModels.of(image, inside)
    assert models.overlap(image, inside) == pytest.approx(norm.sf(1), abs=0.02)
    assert models.overlap(image, ~inside) == pytest.approx(norm.cdf(1), abs=0.02)


def test_labels_of_the_person_are_never_overruled() -> None:
    image, truth = ellipse()
    outside = np.zeros_like(truth)
    outside[:, 150:] = True
    stroke = stroke_for(truth.shape, [(90.0, 100.0), (140.0, 100.0)], 12)
    scene = Scene(image=image, current=np.zeros_like(truth), inside=np.zeros_like(truth), outside=outside)
    after = snap(scene, stroke, radius=12)
    assert not after[:, 155:].any()
    assert dice(after[:, :148], truth[:, :148]) > 0.9


def test_probabilities_of_a_network_guide_the_stroke() -> None:
    """Two halves of one color: only the network knows that the object ends in the middle."""
    image, truth = ellipse()
    prob = np.where(np.mgrid[:200, :300][1] < 150, truth, 0).astype(np.float32)
    empty = np.zeros_like(truth)
    stroke = stroke_for(truth.shape, [(95.0, 100.0), (130.0, 100.0)], 8)
    current = prob > 0.5
    with_net = snap(Scene(image=image, current=current, inside=empty, outside=empty, prob=prob), stroke, radius=8)
    assert dice(with_net, current) >= dice(snap(scene_of(image, empty), stroke, radius=8), current)


def test_same_stroke_gives_the_same_mask() -> None:
    image, truth = ellipse()
    stroke = stroke_for(truth.shape, [(90.0, 100.0), (210.0, 100.0)], 12)
    first, second = (snap(scene_of(image, np.zeros_like(truth)), stroke, radius=12) for _ in range(2))
    assert np.array_equal(first, second)


def test_cup_of_a_real_image_takes_few_strokes() -> None:
    """The strokes of scikit-image's coffee, whose cup and saucer are marked by hand as an ellipse."""
    image = np.asarray(coffee(), np.uint8)
    truth = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(truth, (282, 225), (190, 150), 0, 0, 360, 1, -1)
    needed = {apply: strokes_needed(image, truth.astype(bool), apply, 0.95) for apply in (paint, snap_stroke)}
    assert 3 * needed[snap_stroke] <= 2 * needed[paint]


def test_constant_guide_blurs_and_sharp_guide_keeps_the_edge() -> None:
    source = np.zeros((40, 40), np.float32)
    source[:, 20:] = 1
    flat = guided_filter(np.full_like(source, 0.5), source, radius=3)
    sharp = guided_filter(source, source, radius=3)
    assert 0.2 < flat[20, 18] < 0.5
    assert sharp[20, 18] < 0.05
    assert sharp[20, 21] > 0.95


def test_region_is_enlarged_with_the_edges_of_the_large_image() -> None:
    image, truth = ellipse(800, 1200)
    small = np.asarray(cv2.resize(image, (300, 200), interpolation=cv2.INTER_AREA), np.uint8)
    region = resize_mask(truth, (200, 300))
    plain = cv2.resize(region.astype(np.uint8), (1200, 800), interpolation=cv2.INTER_NEAREST) > 0
    refined = refine(image, small, region)
    assert dice(refined, truth) > max(0.995, dice(np.asarray(plain), truth))
    assert np.array_equal(refine(small, small, region), region)


@pytest.mark.slow
@needs(CARVANA)
def test_snapping_takes_two_thirds_of_the_strokes_on_real_cars() -> None:
    for name in ("0cdf5b5d0ce1_07", "2a4a8964ebf3_15"):
        image = cv2.resize(read_image(CARVANA / "train" / f"{name}.jpg"), (640, 427), interpolation=cv2.INTER_AREA)
        mask = (read_mask_values(CARVANA / "train_masks" / f"{name}_mask.gif") > 0).astype(np.float32)
        truth = np.asarray(cv2.resize(mask, (640, 427), interpolation=cv2.INTER_AREA) >= 0.5)
        pixels = np.asarray(image, np.uint8)
        assert strokes_needed(pixels, truth, snap_stroke) * 3 <= strokes_needed(pixels, truth, paint) * 2
