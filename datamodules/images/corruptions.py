"""Corruptions of an image that keep its size: JPEG artifacts, noise, blur, few colors, gray, fading, rotation.

Each maps uint8 RGB (H, W, 3) to uint8 RGB (H, W, 3); its random numbers come from the generator that it is given.
"""

import io
import math
from abc import ABC, abstractmethod

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Range = tuple[float, float]


class Corruption(ABC):
    """A corruption of an image that keeps its size."""

    @abstractmethod
    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns a corrupted copy of ``image`` (H, W, 3)."""

    def reach(self, side: int) -> int:  # noqa: ARG002 - most reach nowhere
        """Pixels along the border of a square of ``side`` pixels into which the corruption moves what is beyond it."""
        return 0


class Jpeg(Corruption):
    """JPEG artifacts, from compression with chroma at half resolution.

    Args:
        quality: lowest and highest quality, 1 to 95; uniformly distributed.

    Raises:
        ValueError: if the range is empty or outside of these limits.
    """

    def __init__(self, *, quality: tuple[int, int] = (10, 40)) -> None:
        _check("quality", quality, least=1, most=95)
        self.quality = quality

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the compressed image."""
        quality = int(rng.integers(self.quality[0], self.quality[1], endpoint=True))
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        with Image.open(file) as compressed:
            return np.array(compressed)


class Noise(Corruption):
    """Gaussian noise, independent for each channel of each pixel.

    Args:
        sigma: lowest and highest standard deviation in gray levels (of 255); uniformly distributed.

    Raises:
        ValueError: if the range is empty or outside of its limits.
    """

    def __init__(self, *, sigma: Range = (10.0, 50.0)) -> None:
        _check("sigma", sigma, least=0)
        self.sigma = sigma

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the noisy image, rounded and clipped to 0..255."""
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(*self.sigma))
        return (image + noise).round().clip(0, 255).astype(np.uint8)


class Blur(Corruption):
    """Gaussian blur; the image is mirrored beyond its border.

    Args:
        sigma: lowest and highest standard deviation in pixels, 0.01 or more; uniformly distributed.

    Raises:
        ValueError: if the range is empty or outside of its limits.
    """

    def __init__(self, *, sigma: Range = (0.5, 2.0)) -> None:
        _check("sigma", sigma, least=0.01)
        self.sigma = sigma

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the blurred image."""
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(*self.sigma)), dtype=np.uint8)


class FewColors(Corruption):
    """A palette of few colors, chosen for each image by median cut, without dithering, as in old GIFs.

    Args:
        colors: lowest and highest number of colors, 2 to 256; uniformly distributed.

    Raises:
        ValueError: if the range is empty or outside of these limits.
    """

    def __init__(self, *, colors: tuple[int, int] = (8, 32)) -> None:
        _check("colors", colors, least=2, most=256)
        self.colors = colors

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the image in the colors of its palette."""
        colors = int(rng.integers(self.colors[0], self.colors[1], endpoint=True))
        palette = Image.fromarray(image).quantize(colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        return np.array(palette.convert("RGB"))


class Gray(Corruption):
    """Luma of Rec. 601 in three equal channels."""

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:  # noqa: ARG002 - nothing is random
        """Returns the gray image."""
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)


class Fade(Corruption):
    """A faded print or slide: less contrast, a tint, and thin light scratches from top to bottom.

    Black becomes a dark color and white a pale one: each channel is mapped to a range of its own, since dyes fade at
    different rates. A scratch is a slightly tilted line, one or two pixels wide, that is up to full length.

    Args:
        strength: lowest and highest strength, 0 (unchanged) to 1; uniformly distributed.
        scratches: lowest and highest number of scratches per 100 pixels of width; uniformly distributed.

    Raises:
        ValueError: if a range is empty or outside of its limits.
    """

    def __init__(self, *, strength: Range = (0.3, 1.0), scratches: Range = (0.0, 2.0)) -> None:
        _check("strength", strength, least=0, most=1)
        _check("scratches", scratches, least=0)
        self.strength, self.scratches = strength, scratches

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the faded image."""
        strength = np.float32(rng.uniform(*self.strength))
        black = strength * rng.uniform(20, 90, 3).astype(np.float32)
        white = 255 - strength * rng.uniform(10, 90, 3).astype(np.float32)
        faded = black + image * ((white - black) / 255)
        number = round(rng.uniform(*self.scratches) * image.shape[1] / 100)
        return _scratched(faded.round().clip(0, 255).astype(np.uint8), number, rng)


def _scratched(image: Pixels, number: int, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    lines = np.zeros((height, width), np.uint8)
    for _ in range(number):
        x, y = rng.uniform(0, width), rng.uniform(-0.5, 0.8) * height
        length, tilt = rng.uniform(0.2, 1.5) * height, rng.uniform(-0.05, 0.05)
        start, end = (round(x), round(y)), (round(x + tilt * length), round(y + length))
        cv2.line(lines, start, end, float(rng.uniform(80, 230)), int(rng.integers(1, 3)), cv2.LINE_AA)
    cover = lines[..., None].astype(np.float32) / 255
    light = np.float32(rng.uniform(200, 250))
    return (image * (1 - cover) + light * cover).round().astype(np.uint8)


class Tilt(Corruption):
    """Rotation by a small angle about the center; the image is mirrored beyond its border.

    Args:
        degrees: lowest and highest angle, counterclockwise, -45 to 45; uniformly distributed.

    Raises:
        ValueError: if the range is empty or outside of its limits.
    """

    def __init__(self, *, degrees: Range = (-3.0, 3.0)) -> None:
        _check("degrees", degrees, least=-45, most=45)
        self.degrees = degrees

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the rotated image at the same size."""
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(*self.degrees), 1)
        rotated = cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        return np.asarray(rotated, dtype=np.uint8)

    def reach(self, side: int) -> int:
        """Distance by which the ends of the border move, rounded up."""
        return math.ceil(side / 2 * math.tan(math.radians(max(map(abs, self.degrees)))))


def _check(name: str, given: Range, *, least: float, most: float = float("inf")) -> None:
    low, high = given
    if not least <= low <= high <= most:
        limits = f"{least:g} or more" if most == float("inf") else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be (lowest, highest), {limits}, not {tuple(given)}")
