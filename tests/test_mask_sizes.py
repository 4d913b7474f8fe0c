"""The benchmark of resized masks: soft labels keep more of a mask than hard ones."""

import numpy as np

from datamodules.io.resize import resize_classes, resize_coverage
from experiments.benchmarks.masks import restore


def test_an_edge_between_two_pixels_is_restored_from_coverage_alone() -> None:
    mask = np.zeros((8, 64), np.uint8)
    mask[:, :27] = 1  # 6.75 pixels of a mask of 16
    soft, hard = resize_coverage(mask, 16), resize_classes(mask, 16)
    assert (restore(soft, (8, 64), 255) != mask).sum() < (restore(hard, (8, 64), 1) != mask).sum()


def test_a_mask_of_the_same_size_is_unchanged() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(restore(resize_coverage(mask, 32), (32, 32), 255), mask > 0)
