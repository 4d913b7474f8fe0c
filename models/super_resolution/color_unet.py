"""ColorUNet: a U-Net that sees the whole image and changes its colors, for colorization and faded images."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.segmentation.unet import UNet
from models.super_resolution.sr_resnet import SrResnet
from models.tiled_inference import TILE, tiled_inference

#: Coefficients of a pixel: for each output channel a factor of red, green and blue, and an offset.
_COEFFICIENTS = 12


class ColorUNet(nn.Module):
    """Multiplies the color of every pixel by a matrix and adds an offset; both are computed from the whole image.

    A U-Net with a pretrained encoder maps a copy of the image of at most ``view`` pixels per side to 12 coefficients
    per pixel. They are enlarged to the size of the image and applied to it, so its details stay sharp at any size.
    These are the local affine color transforms of Gharbi et al. 2017, "Deep Bilateral Learning for Real-Time Image
    Enhancement", without their grid: colors cannot change faster than the copy resolves. With ``local_blocks``, a
    small ``SrResnet`` at the full size follows, which removes what is thin, as scratches.

    An untrained network returns its input.

    Args:
        encoder: name of a torchvision classifier.
        pretrained: ``"none"``, ``"auto"``, ``"imagenet"`` or the path of a file (``models/weights/pretrained.py``).
        view: longest side in pixels of the copy that the U-Net sees; a smaller image is seen at its size.
        local_blocks: residual blocks of the network at full size; 0 leaves it out.

    Attributes:
        active_scale: 1, the size is kept.
        sees_whole_image: true: the image must not be divided into tiles.
        weights_origin: where the weights of the encoder came from, for reports.

    Raises:
        ValueError: an unknown encoder, a view below its smallest image, or negative blocks.
        WeightsError: the weights are not available or do not fit.
    """

    sees_whole_image = True

    def __init__(
        self, *, encoder: str = "mobilenet_v2", pretrained: str = "auto", view: int = 256, local_blocks: int = 0
    ) -> None:
        super().__init__()
        self.unet = UNet(encoder=encoder, classes=_COEFFICIENTS, pretrained=pretrained)
        self.weights_origin, self._least = self.unet.weights_origin, self.unet.encoder.least_size
        if view < self._least or local_blocks < 0:
            raise ValueError(
                f"view must be at least {self._least} and local_blocks not negative, not {view} and {local_blocks}"
            )
        self.view = view
        for parameter in self.unet.head.parameters():
            nn.init.zeros_(parameter)
        self.local = SrResnet(width=32, blocks=local_blocks, max_scale=1) if local_blocks else None

    @property
    def active_scale(self) -> int:
        """Magnification, always 1."""
        return 1

    @active_scale.setter
    def active_scale(self, scale: int) -> None:
        if scale != 1:
            raise ValueError(f"ColorUNet keeps the size of images: scale must be 1, not {scale}")

    def forward(self, images: Tensor) -> Tensor:
        """Changes the colors of RGB images.

        Args:
            images: (N, 3, H, W) float32 in [0, 1], whole images.

        Returns:
            (N, 3, H, W), about [0, 1], not clamped.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (N, 3, H, W), not {tuple(images.shape)}")
        out = change_colors(images, self.unet(view_of(images, longest=self.view, least=self._least)))
        if self.local is None:
            return out
        if self.training or max(images.shape[2:]) <= TILE:
            restored: Tensor = self.local(out)
            return restored
        rows = [tiled_inference(self.local, image[None], scale=1) for image in out]
        return torch.cat(rows)

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: encoder down to 1/8 of the image's side; rest of the encoder; decoder and local network."""
        *encoder, decoder = self.unet.layer_groups()
        return [*encoder, decoder if self.local is None else [*decoder, self.local]]


def change_colors(images: Tensor, coefficients: Tensor) -> Tensor:
    """Adds ``matrix @ color + offset`` to the color of every pixel.

    Args:
        images: (N, 3, H, W).
        coefficients: (N, 12, h, w), enlarged to (H, W) by bilinear interpolation: for red, then green, then blue of
            the output the factors of red, green and blue of the input and the offset.

    Returns:
        (N, 3, H, W).

    >>> gray = torch.full((1, 3, 2, 2), 0.5)
    >>> doubled_red = torch.tensor([0.0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0.25]).view(1, 12, 1, 1)
    >>> change_colors(gray, doubled_red)[0, :, 0, 0].tolist()
    [1.0, 0.5, 0.75]
    """
    channels = []
    for number, part in enumerate(coefficients.split(4, dim=1)):  # one channel at a time: a third of the memory
        if torch.compiler.is_exporting() or part.shape[2:] != images.shape[2:]:
            part = F.interpolate(part, size=images.shape[2:], mode="bilinear", align_corners=False)
        channels.append(images[:, number] + (part[:, :3] * images).sum(1) + part[:, 3])
    return torch.stack(channels, dim=1)


def view_of(images: Tensor, *, longest: int, least: int) -> Tensor:
    """Shrinks images (N, C, H, W) whose longer side is above ``longest``; sides below ``least`` are enlarged to it."""
    height, width = images.shape[2:]
    # Integers without branches, so that torch.export keeps the sizes free.
    divisor = torch.sym_max(longest, torch.sym_max(height, width))
    size: Any = tuple(torch.sym_max(least, side * longest // divisor) for side in (height, width))
    if not torch.compiler.is_exporting() and size == (height, width):
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
