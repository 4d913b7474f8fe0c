"""U-Net with any convolutional classifier of torchvision as encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.checkpointing import apply_layer
from models.segmentation.blocks import UpBlock, conv_bn_relu, crop_to, resize_to
from models.segmentation.encoder import Encoder


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with one skip connection per resolution of the encoder.

    Departures from the paper: the decoder is narrow. It ends at half the side of the image, where one 3x3 convolution
    outputs the logits of all four pixels of a 2x2 patch (sub-pixel convolution, Shi et al. 2016). There it also gets a
    skip connection from the image through a convolution of stride 2, which preserves thin structures. With an encoder
    whose first feature map has the size of the image (VGG), the decoder ends at that size and has no such skip.

    Args:
        encoder: name of a torchvision classifier.
        classes: number of logit channels; 1 is foreground against background.
        in_channels: channels of the images; see ``Encoder`` for numbers other than 3.
        pretrained: ``"none"``, ``"auto"``, ``"imagenet"`` or the path of a file (``models/weights/pretrained.py``).
        widths: channels of the decoder blocks, the deepest first; the last value is used for all further blocks.
        image_width: channels of the skip connection from the image; 0 leaves it out.
        checkpointing: whether the backward pass computes encoder and decoder again (``models/checkpointing.py``): less
            than 0.4 of the activations are kept, for the time of one more forward pass. The results are the same.

    Attributes:
        weights_origin: where the weights of the encoder came from, for reports.

    Raises:
        ValueError: an unknown or unsuitable encoder, or widths below 1.
        WeightsError: the weights are not available or do not fit.
    """

    def __init__(
        self,
        *,
        encoder: str = "mobilenet_v2",
        classes: int = 1,
        in_channels: int = 3,
        pretrained: str = "auto",
        widths: Sequence[int] = (128, 64, 48, 32),
        image_width: int = 16,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if classes < 1 or image_width < 0 or min(widths, default=0) < 1:
            raise ValueError(
                f"a U-Net needs classes and widths of at least 1 and no negative image_width, "
                f"not classes={classes}, widths={list(widths)}, image_width={image_width}"
            )
        self.encoder = Encoder(
            name=encoder, in_channels=in_channels, pretrained=pretrained, checkpointing=checkpointing
        )
        self.checkpointing = checkpointing
        self.weights_origin = self.encoder.weights_origin

        *skips, channels = self.encoder.channels
        skips.reverse()
        patch = self.encoder.reductions[0]
        self.image: nn.Module | None = None
        if image_width and patch > 1:
            self.image = conv_bn_relu(in_channels, image_width, stride=2)
            skips = [*skips[:-1], skips[-1] + image_width] if patch == 2 else [*skips, image_width]
            patch = 2
        self.blocks = nn.ModuleList()
        for number, skip in enumerate(skips):
            width = widths[min(number, len(widths) - 1)]
            self.blocks.append(UpBlock(in_channels=channels, skip_channels=skip, width=width))
            channels = width
        self.head = nn.Conv2d(channels, classes * patch * patch, 3, padding=1)
        self.to_pixels = nn.PixelShuffle(patch)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, in_channels, H, W) in [0, 1] to logits (N, classes, H, W).

        Raises:
            ValueError: images of another shape, or with a side below ``encoder.least_size``.
        """
        *skips, x = self.encoder(images)
        skips.reverse()
        if self.image is not None:
            image = self.image(self.encoder.normalize(images))
            if len(skips) == len(self.blocks):  # the encoder has a map of this size too
                image = torch.cat([resize_to(skips.pop(), image), image], dim=1)
            skips.append(image)
        for block, skip in zip(self.blocks, skips, strict=True):
            x = apply_layer(block, x, skip, checkpointing=self.checkpointing)
        return resize_to(crop_to(self.to_pixels(self.head(x)), images), images)

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: encoder down to 1/8 of the image's side; rest of the encoder; decoder."""
        decoder = [self.blocks, self.head] if self.image is None else [self.image, self.blocks, self.head]
        return [*self.encoder.layer_groups(), decoder]
