"""Resizes images for figures and draws masks over them: tensors in, uint8 RGB images out.

Class maps are int64 ``(H, W)``; images are ``(3, H, W)``, float32 in [0, 1] going in and uint8 coming out.
"""

from collections.abc import Sequence
from itertools import cycle, islice

import torch
from torch import Tensor
from torch.nn import functional as F

Color = tuple[int, int, int]

# Colors after Okabe and Ito, which are distinguishable with color blindness too.
PALETTE: tuple[Color, ...] = (
    (0, 200, 160),
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (120, 120, 120),
    (150, 75, 160),
    (120, 200, 60),
    (150, 110, 70),
    (250, 190, 190),
)
MISSED: Color = (255, 80, 40)  # false negatives
EXTRA: Color = (30, 120, 255)  # false positives
WRONG: Color = (255, 40, 90)  # wrong class


def palette(classes: int) -> list[Color]:
    """Returns the colors of the class numbers 0, 1, ...; they repeat after twelve."""
    return list(islice(cycle(PALETTE), classes))


def to_uint8(image: Tensor) -> Tensor:
    """Converts a float image in [0, 1] to uint8; values outside the range are clamped."""
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def resize_image(image: Tensor, side: int) -> Tensor:
    """Resizes a float image ``(3, H, W)`` to a uint8 square, bilinear with antialiasing."""
    return to_uint8(F.interpolate(image[None].float(), size=(side, side), mode="bilinear", antialias=True)[0])


def resize_pixels(image: Tensor, side: int) -> Tensor:
    """Resizes a float image ``(3, H, W)`` to a uint8 square; enlarged pixels stay squares of one color."""
    if image.shape[-1] > side:
        return resize_image(image, side)
    return to_uint8(F.interpolate(image[None].float(), size=(side, side), mode="nearest-exact")[0])


def resize_classes(classes: Tensor, side: int) -> Tensor:
    """Resizes a class map ``(H, W)`` to a square, nearest neighbor: no new values appear."""
    return F.interpolate(classes[None, None].float(), size=(side, side), mode="nearest-exact")[0, 0].long()


def resize_any(mask: Tensor, side: int) -> Tensor:
    """Resizes a bool mask ``(H, W)`` to a square; a pixel is true if any pixel under it is."""
    if mask.shape[-1] > side:
        return F.adaptive_max_pool2d(mask[None].float(), side)[0] > 0
    return resize_classes(mask, side) > 0


def center_crop(image: Tensor, side: int) -> Tensor:
    """Crops the central square of an image ``(..., H, W)``, at most ``side`` pixels wide and at least 1."""
    side = max(1, min(side, *image.shape[-2:]))
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    return image[..., top : top + side, left : left + side]


def contour(mask: Tensor, width: int = 2) -> Tensor:
    """Finds the pixels of a bool mask ``(H, W)`` that lie within ``width`` pixels of the outside.

    The border of the image does not count as outside.

    >>> contour(torch.tensor([[0, 1, 1, 1]]).bool(), 1).int().tolist()
    [[0, 1, 0, 0]]
    """
    outside = (~mask)[None].float()
    return mask & (F.max_pool2d(outside, 2 * width + 1, stride=1, padding=width)[0] > 0)


def overlay_color(image: Tensor, mask: Tensor, color: Color, alpha: float) -> Tensor:
    """Blends ``color`` with opacity ``alpha`` over the pixels of a bool mask; returns a new image."""
    layer = torch.tensor(color, dtype=torch.float32).view(3, 1, 1)
    mixed = image.float() * (1 - alpha) + layer * alpha
    return torch.where(mask, mixed.round().to(torch.uint8), image)


def draw_mask(image: Tensor, mask: Tensor, color: Color, *, alpha: float = 0.4) -> Tensor:
    """Draws a mask over an image, with an opaque contour.

    Args:
        image: uint8 ``(3, H, W)``.
        mask: bool ``(H, W)``.
        color: RGB color of the mask.
        alpha: opacity inside the contour.

    Returns:
        uint8 ``(3, H, W)``.
    """
    return overlay_color(overlay_color(image, mask, color, alpha), contour(mask), color, 1.0)


def draw_classes(image: Tensor, classes: Tensor, colors: Sequence[Color]) -> Tensor:
    """Draws a class map over an image; class numbers without a color (ignored pixels) are not drawn.

    Args:
        image: uint8 ``(3, H, W)``.
        classes: int64 ``(H, W)``.
        colors: RGB colors of the class numbers 0, 1, ...

    Returns:
        uint8 ``(3, H, W)``.
    """
    for number, color in enumerate(colors):
        image = draw_mask(image, classes == number, color, alpha=0.55)
    return image


def pale_gray(image: Tensor) -> Tensor:
    """Converts a uint8 image ``(3, H, W)`` to a pale gray background for colored marks."""
    gray = image.float().mean(0, keepdim=True).expand(3, -1, -1)
    return (gray * 0.6 + 90).clamp(0, 255).to(torch.uint8)
