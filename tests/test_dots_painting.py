"""The painting of dots that new-painting is measured with."""

from pathlib import Path

import cv2
import numpy as np
import skimage

from experiments.benchmarks.dots_painting import main, paint_dots


def test_the_painting_is_the_same_at_every_call_and_is_saved_without_loss(tmp_path: Path) -> None:
    painting = paint_dots()
    assert painting.shape == (400, 600, 3)
    assert main([str(tmp_path / "dots.png")]) == 0
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "dots.png"))[..., ::-1], painting)


def test_dots_are_of_one_color_and_differ_from_each_other() -> None:
    painting = paint_dots().astype(int)
    steps = np.abs(np.diff(painting, axis=1)).max(axis=2)
    assert (steps == 0).mean() > 0.3  # inside a dot
    assert (steps > 40).mean() > 0.1  # from dot to dot
    painted, image = (
        cv2.resize(image, (15, 10), interpolation=cv2.INTER_AREA).mean(2).ravel()
        for image in (painting.astype(np.uint8), skimage.data.coffee())
    )
    assert np.corrcoef(painted, image)[0, 1] > 0.95  # from a distance it shows the image
