"""Corruptions of an image that keep its size: JPEG artifacts, noise, blur, few colors, gray, rotation.

Each maps uint8 RGB (H, W, 3) to uint8 RGB (H, W, 3); its random numbers come from the generator that it is given.
"""

import io
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


def _check(name: str, given: Range, *, least: float, most: float = float("inf")) -> None:
    low, high = given
    if not least <= low <= high <= most:
        limits = f"{least:g} or more" if most == float("inf") else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be (lowest, highest), {limits}, not {tuple(given)}")
