"""Style images: files, folders of files, and the ones that come with Darkroom."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.index.folder_scan import list_images
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.image import image_size, read_image
from datamodules.io.resize import resize_to, top_right_crop
from datamodules.samples.images import texture_file
from datamodules.samples.painting import ensure_sample_painting

#: The night landscape that the project paints, and textures of scikit-image.
PAINTING, TEXTURES = "night_landscape", ("brick", "grass", "ihc")
_COLORLESS = 8  # largest difference between the channels of a gray image in gray levels, from JPEG and scanners
_SEPARATORS = re.compile(r"[\s:,]+")  # of a blend on the command line
_WAY_OUT = "name an image with --data.style_image FILE"


@dataclass(frozen=True)
class StyleImage:
    """A style image at the size that the loss sees.

    Args:
        path: its file.
        original: height and width of the file's image as displayed.
        pixels: ``(h, w, 3)`` RGB uint8.
    """

    path: Path
    original: tuple[int, int]
    pixels: NDArray[np.uint8]

    @property
    def gray(self) -> bool:
        """Whether it has no colors."""
        return int(np.ptp(self.pixels, axis=2).max()) <= _COLORLESS

    def describe(self) -> str:
        """One line with its file and sizes."""
        (height, width), (h, w) = self.original, self.pixels.shape[:2]
        line = f"  style: {self.path}, {width} x {height} px, resized to {w} x {h}"
        return f"{line}; it is gray, so the results will be gray" if self.gray else line


def find_style_images(given: Sequence[Path], *, cache: Path) -> list[Path]:
    """Finds the files of the style images.

    Args:
        given: files, folders (all images at any depth), or the names in ``PAINTING`` and ``TEXTURES``; nothing is
            ``PAINTING``.
        cache: folder that ``PAINTING`` is written to on the first call.

    Raises:
        DataError: if a file does not exist, or a folder has no images.
    """
    files: list[Path] = []
    for entry in given or [Path(PAINTING)]:
        if entry.is_dir():
            found = list_images(entry)
            if not found:
                raise DataError(f"the folder of style images {entry} has no images: {_WAY_OUT}")
            files += found
        elif entry.exists():
            files.append(entry)
        elif str(entry) == PAINTING:
            files.append(ensure_sample_painting(cache / "sample_painting"))
        elif str(entry) in TEXTURES:
            files.append(texture_file(str(entry)))
        else:
            raise DataError(f"the style image {entry} does not exist: {_WAY_OUT}")
    return files


def style_names(given: Sequence[Path]) -> list[str]:
    """The names of the styles: the file names without suffix, without spaces, colons and commas.

    Files that do not exist have names too; they are reported when they are read.

    >>> style_names([Path("paintings/Starry Night.jpg"), Path("brick")])
    ['Starry_Night', 'brick']

    Raises:
        DataError: if two images have one name.
    """
    files = [file for entry in given for file in (list_images(entry) if entry.is_dir() else [entry])]
    names: dict[str, Path] = {}
    for file in files or [Path(PAINTING)]:
        name = _SEPARATORS.sub("_", file.stem)
        if name in names:
            raise DataError(
                f"the style images {names[name]} and {file} have one name, {name}: rename a file, or name the styles "
                "with --data.style_names"
            )
        names[name] = file
    return list(names)


def read_style(path: Path, *, size: int, crop: bool, trim: float = 0.0, bits: int = FULL_BITS) -> StyleImage:
    """Reads a style image of any format and mode and resizes its shorter side to ``size``.

    Args:
        path: an image file.
        size: shorter side in pixels; a smaller image is refused, since enlarged pixels show no brush strokes.
        crop: whether only the square at the top right is used.
        trim: fraction of the height that is cut off at the lower edge.
        bits: bits that the values of a 16-bit file use.

    Raises:
        DataError: if the file does not exist, cannot be read, or is smaller than ``size``.
    """
    if path.is_dir():
        raise DataError(f"the style image {path} is a folder: {_WAY_OUT}")
    if not path.exists():
        raise DataError(f"the style image {path} does not exist: {_WAY_OUT}")
    try:
        original = image_size(path)
        height, width = round(original[0] * (1 - trim)), original[1]
        shorter = min(height, width)
        if shorter < size:
            raise DataError(
                f"has {width} x {height} px, and its shorter side is resized to {size}: name a larger image, or lower "
                f"--data.style_size to {shorter}"
            )
        pixels = read_image(path, for_size=size, bits=bits)
    except DataError as error:
        raise DataError(f"the style image {path}: {str(error).removeprefix(f'{path}: ')}") from error
    pixels = np.ascontiguousarray(pixels[: round(pixels.shape[0] * (1 - trim))])
    pixels = resize_to(pixels, round(height * size / shorter), round(width * size / shorter))
    return StyleImage(path, original, top_right_crop(pixels, size) if crop else pixels)
