"""Rotation, mirroring and light of images and masks, each pixel interpolated and rounded once."""

from functools import partial

import cv2
import numpy as np
from albucore.functions import sz_lut
from numpy.typing import NDArray

from datamodules.io.tensors import Pixels
from datamodules.segmentation.band_light import relative_light

Mask = NDArray[np.uint8]


def turn_pair(image: Pixels, mask: Mask, *, degrees: float, mirror: bool, coverage: bool) -> tuple[Pixels, Mask]:
    """Rotates an image and its mask about their center and mirrors them left to right, in one interpolation.

    An RGB image and its coverage are the four channels of one array, which OpenCV interpolates in less time than three.
    Corners that the rotation leaves empty are filled by reflection.

    Args:
        image: ``(H, W, 3)`` uint8, or ``(H, W, C)`` uint16; not changed.
        mask: ``(H, W)`` or ``(H, W, 2)``; not changed.
        degrees: angle of the rotation, counterclockwise.
        mirror: whether the rotated pair is mirrored.
        coverage: whether the mask is interpolated linearly as the image is, or by nearest neighbor.

    Returns:
        Image and mask of the same shapes; the arguments themselves if there is nothing to do.
    """
    if not degrees:
        return (image[:, ::-1].copy(), mask[:, ::-1].copy()) if mirror else (image, mask)
    height, width = mask.shape[:2]
    warp = partial(
        cv2.warpAffine,
        M=turn_matrix(height, width, degrees=degrees, mirror=mirror),
        dsize=(width, height),
        borderMode=cv2.BORDER_REFLECT_101,
    )
    nearest_or_linear = cv2.INTER_LINEAR if coverage else cv2.INTER_NEAREST
    if image.dtype == np.uint16:
        bands = np.asarray([warp(band, flags=cv2.INTER_LINEAR) for band in np.moveaxis(image, 2, 0)], np.uint16)
        turned = warp(mask, flags=nearest_or_linear)
        return np.ascontiguousarray(np.moveaxis(bands, 0, 2)), np.asarray(turned, np.uint8)
    four = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    together = coverage and mask.ndim == 2
    if together:
        cv2.insertChannel(mask, four, 3)
    four = warp(four, flags=cv2.INTER_LINEAR)
    turned = cv2.extractChannel(four, 3) if together else warp(mask, flags=nearest_or_linear)
    return np.asarray(cv2.cvtColor(four, cv2.COLOR_RGBA2RGB), np.uint8), np.asarray(turned, np.uint8)


def turn_matrix(height: int, width: int, *, degrees: float, mirror: bool) -> NDArray[np.float64]:
    """The affine map ``(2, 3)`` from a pixel (x, y) to its place after rotation about the center and mirroring.

    >>> turn_matrix(3, 3, degrees=90, mirror=False).dot([2, 1, 1]).round(6).tolist()  # right of the center: to the top
    [1.0, 0.0]
    >>> turn_matrix(3, 3, degrees=0, mirror=True).dot([2, 1, 1]).tolist()
    [0.0, 1.0]
    """
    matrix = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0), np.float64)
    if mirror:
        matrix[0] *= -1
        matrix[0, 2] += width - 1
    return matrix


def change_light(image: Pixels, *, contrast: float, brightness: float) -> Pixels:
    """Changes contrast and brightness, by one table of 256 values; 16 bits as ``relative_light`` does.

    Args:
        image: ``(H, W, C)``; not changed.
        contrast: factor of the values, minus 1.
        brightness: added to the values, as a fraction of full scale.

    Returns:
        An array of the same shape.
    """
    if image.dtype == np.uint16:
        return relative_light(image, contrast=contrast, brightness=brightness)
    table = np.arange(256, dtype=np.float32) * (1 + contrast) + brightness * 255
    return np.asarray(sz_lut(image, np.rint(table).clip(0, 255).astype(np.uint8), inplace=False), np.uint8)
