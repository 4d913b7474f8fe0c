"""Regions stored as small images inside an annotation file."""

import base64
import binascii
import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from datamodules.annotations.annotation_set import Patch, RegionError
from datamodules.annotations.polygons import read_points


@dataclass(frozen=True)
class LabelmeMask:
    """A mask of labelme: a PNG inside the box of two points, whose pixels belong to it.

    Args:
        points: two corners of the box, as stored.
        content: the PNG in base64.
    """

    points: object
    content: object

    def draw(self, height: int, width: int) -> Patch:
        """Decodes the mask.

        Raises:
            RegionError: if it is no PNG of the size of its box inside the image.
        """
        corners = read_points(self.points, minimum=2)
        left, top = (int(value) for value in corners.min(axis=0))
        right, bottom = (int(value) for value in corners.max(axis=0))
        if len(corners) != 2 or left < 0 or top < 0 or right >= width or bottom >= height:
            raise RegionError("mask whose box reaches out of the image")
        try:
            content = base64.b64decode(self.content if isinstance(self.content, str) else "", validate=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                    if image.size != (right - left + 1, bottom - top + 1):
                        raise RegionError(f"mask of {image.width} x {image.height} in a box of another size")
                    pixels = np.asarray(image.convert("L")) > 0
        except RegionError:
            raise
        except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise RegionError("mask that is no PNG") from error
        return Patch(top, left, pixels)
