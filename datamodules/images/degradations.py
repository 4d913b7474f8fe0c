"""Ways of spoiling an image without changing its size.

Each maps uint8 RGB (H, W, 3) to the same; what it draws at random comes from the generator it is given.
"""

import io
from abc import ABC, abstractmethod

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Range = tuple[float, float]


class Spoil(ABC):
    """One way of spoiling an image without changing its size."""

    @abstractmethod
    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns a spoiled copy of ``image`` (H, W, 3)."""


class Jpeg(Spoil):
    """Saves as JPEG, chroma at half resolution, and opens it again.

    Args:
        quality: lowest and highest quality, 1 to 95, drawn evenly.

    Raises:
        ValueError: if the range is none, or outside of what JPEG has.
    """

    def __init__(self, *, quality: tuple[int, int] = (10, 40)) -> None:
        _check("quality", quality, least=1, most=95)
        self.quality = quality

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the image with JPEG's blocks and colors."""
        quality = int(rng.integers(self.quality[0], self.quality[1], endpoint=True))
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        with Image.open(file) as again:
            return np.array(again)


class Noise(Spoil):
    """Adds Gaussian noise, each channel of each pixel on its own.

    Args:
        sigma: lowest and highest standard deviation in gray levels (of 255), drawn evenly.

    Raises:
        ValueError: if the range is none.
    """

    def __init__(self, *, sigma: Range = (10.0, 50.0)) -> None:
        _check("sigma", sigma, least=0)
        self.sigma = sigma

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the noisy image, rounded and clipped to 0..255."""
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(*self.sigma))
        return (image + noise).round().clip(0, 255).astype(np.uint8)


class Blur(Spoil):
    """Blurs with a Gaussian; the image is mirrored at its border.

    Args:
        sigma: lowest and highest standard deviation in pixels, above 0, drawn evenly.

    Raises:
        ValueError: if the range is none.
    """

    def __init__(self, *, sigma: Range = (0.5, 2.0)) -> None:
        _check("sigma", sigma, least=0.01)
        self.sigma = sigma

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the blurred image."""
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(*self.sigma)), dtype=np.uint8)


class FewColors(Spoil):
    """Keeps a few colors, chosen for the image by median cut, without dithering, as old GIFs have them.

    Args:
        colors: lowest and highest number of colors, 2 to 256, drawn evenly.

    Raises:
        ValueError: if the range is none, or outside of what a palette has.
    """

    def __init__(self, *, colors: tuple[int, int] = (8, 32)) -> None:
        _check("colors", colors, least=2, most=256)
        self.colors = colors

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the image in its few colors."""
        colors = int(rng.integers(self.colors[0], self.colors[1], endpoint=True))
        palette = Image.fromarray(image).quantize(colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        return np.array(palette.convert("RGB"))


class Gray(Spoil):
    """Takes the color away: three equal channels, weighted as television does (Rec. 601)."""

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:  # noqa: ARG002  # the same for all steps
        """Returns the image in gray."""
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)


class Tilt(Spoil):
    """Turns by a small angle about the middle; what comes in from outside is the image, mirrored.

    Args:
        degrees: lowest and highest angle, anticlockwise, drawn evenly.

    Raises:
        ValueError: if the range is none.
    """

    def __init__(self, *, degrees: Range = (-3.0, 3.0)) -> None:
        _check("degrees", degrees, least=-45, most=45)
        self.degrees = degrees

    def __call__(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Returns the tilted image, at the same size."""
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(*self.degrees), 1)
        turned = cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(turned, dtype=np.uint8)


def _check(name: str, given: Range, *, least: float, most: float = float("inf")) -> None:
    low, high = given
    if not least <= low <= high <= most:
        limits = f"{least:g} or more" if most == float("inf") else f"between {least:g} and {most:g}"
        raise ValueError(f"{name} must be (lowest, highest), {limits}, not {tuple(given)}")
