"""The README's images of style: image, painting and result, with labels."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.io.image import read_image
from experiments.readme.images import STYLIZED, main
from tests.helpers.tiny_images import save

WIDTH, HEIGHT = STYLIZED


def flat(path: Path, gray: int, height: int, width: int) -> Path:
    return save(path, np.full((height, width, 3), gray, np.uint8))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    flat(tmp_path / "run/predictions/cat.jpg", 150, 300, 700)
    flat(tmp_path / "run/predictions/dog.jpg", 200, 300, 700)
    return tmp_path / "run"


def sheet(run: Path, *more: str) -> np.ndarray:  # type: ignore[type-arg]
    root = run.parent
    images = [str(flat(root / f"{name}.png", gray, 700, 300)) for name, gray in (("cat", 10), ("dog", 50))]
    painting = flat(root / "painting.png", 100, 500, 500)
    assert main(["--out", str(root / "made"), "style", str(run), *images, "--painting", str(painting), *more]) == 0
    return read_image(root / "made" / "style.jpg")


def test_image_painting_and_result_are_side_by_side(run: Path) -> None:
    made = sheet(run)
    assert made.shape == (2 * HEIGHT, 3 * WIDTH, 3)
    middles = made[HEIGHT // 2 :: HEIGHT, WIDTH // 2 :: WIDTH, 0].astype(int)
    np.testing.assert_allclose(middles, [[10, 100, 150], [50, 100, 200]], atol=2)


def test_results_of_random_features_are_labeled(run: Path) -> None:
    plain, random = sheet(run), sheet(run, "--random")
    plates = [(abs(made[:HEIGHT, 2 * WIDTH :].astype(int) - 20) < 8).sum() for made in (plain, random)]
    assert plates[1] > 2 * plates[0] > 0
    np.testing.assert_allclose(plain[:, : 2 * WIDTH], random[:, : 2 * WIDTH])


def test_results_of_several_runs_are_side_by_side(run: Path) -> None:
    other = run.parent / "starry_night"
    flat(other / "predictions/cat.png", 90, 300, 300)
    image = flat(run.parent / "cat.png", 10, 300, 700)
    assert main(["--out", str(run.parent), "paintings", str(run), str(other), "--images", str(image)]) == 0
    made = read_image(run.parent / "paintings.jpg")
    assert made.shape == (HEIGHT, 3 * WIDTH, 3)
    np.testing.assert_allclose(made[HEIGHT // 2, WIDTH // 2 :: WIDTH, 0].astype(int), [10, 150, 90], atol=2)
