"""Renders a painting of colored dots, a style that the network ``styles`` was not trained on.

    python -m experiments.benchmarks.dots_painting dots.png

Dots of pure colors are set on a light canvas as in pointillism: each takes the color of an image (scikit-image's
coffee) at its place, with more saturation, and a random shift of its hue and brightness. So a new painting can be
trained where no painting outside of those 16 styles is at hand, and everyone gets the same one.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray

from callbacks.output_file import output_file

_DOTS = 45_000
_RADII = 2, 5  # pixels, the second excluded
_CANVAS = 232, 222, 196
_HUE, _VALUE = 10.0, 26.0  # standard deviations, in OpenCV's units: hue in half degrees, value in gray levels


def main(argv: Sequence[str]) -> int:
    """Writes the painting as PNG."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.dots_painting", description="A painting of dots.")
    parser.add_argument("out", type=Path, help="PNG file")
    options = parser.parse_args(argv)
    encoded, png = cv2.imencode(".png", paint_dots()[..., ::-1])
    if not encoded:
        raise OSError(f"{options.out}: OpenCV cannot encode PNG")
    with output_file(options.out) as file:
        file.write(png.tobytes())
    print(f"saved {options.out}")
    return 0


def paint_dots(seed: int = 0) -> NDArray[np.uint8]:
    """Returns the painting, (400, 600, 3) RGB.

    Args:
        seed: of places, sizes and colors of the dots.
    """
    image = skimage.data.coffee()
    height, width = image.shape[:2]
    random = np.random.default_rng(seed)
    places = np.stack([random.integers(0, width, _DOTS), random.integers(0, height, _DOTS)], 1)
    colors = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[places[:, 1], places[:, 0]].astype(np.float64)
    colors[:, 0] = (colors[:, 0] + random.normal(0, _HUE, _DOTS)) % 180
    # A tenth of the dots has the complementary color, as Seurat set them in shadows.
    colors[:, 0] = np.where(random.random(_DOTS) < 0.1, (colors[:, 0] + 90) % 180, colors[:, 0])
    colors[:, 1] = (colors[:, 1] * 1.1).clip(0, 255)
    colors[:, 2] = (colors[:, 2] + 20 + random.normal(0, _VALUE, _DOTS)).clip(40, 255)
    dots = cv2.cvtColor(colors.round().astype(np.uint8)[None], cv2.COLOR_HSV2RGB)[0]
    painting = np.full((height, width, 3), _CANVAS, np.uint8)
    for place, radius, color in zip(places, random.integers(*_RADII, _DOTS), dots, strict=True):
        center = (int(place[0]), int(place[1]))
        cv2.circle(painting, center, int(radius), [int(c) for c in color], cv2.FILLED, cv2.LINE_AA)
    return painting


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
