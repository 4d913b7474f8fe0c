"""The decoder without skip connections of fast.ai's lesson 14 (2018), a baseline for the U-Nets."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.segmentation.blocks import crop_to, resize_to
from models.segmentation.encoder import Encoder


class SimpleSegmenter(nn.Module):
    """A classifier without pool and head, ReLU, upsampling steps of 256 channels, and one to the logits.

    With ResNet34, the lesson's encoder, there are four steps of 256 channels.

    Args:
        encoder: classifier as in ``torchvision.models.get_model``.
        classes: number of logit channels; 1 is foreground against background.
        in_channels: channels of the images.
        pretrained: ``"none"``, ``"auto"``, ``"imagenet"`` or the path of a file (``models/weights/pretrained.py``).
    """

    def __init__(
        self, *, encoder: str = "resnet34", classes: int = 1, in_channels: int = 3, pretrained: str = "auto"
    ) -> None:
        super().__init__()
        self.encoder = Encoder(name=encoder, in_channels=in_channels, pretrained=pretrained)
        self.weights_origin = self.encoder.weights_origin
        steps = len(self.encoder.channels) - 1
        self.upsampling = nn.ModuleList(
            [_upsample(self.encoder.channels[-1] if step == 0 else 256, 256) for step in range(steps)]
        )
        patch = self.encoder.reductions[0]
        self.head = nn.ConvTranspose2d(256, classes, patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, in_channels, H, W) in [0, 1] to logits (N, classes, H, W).

        Raises:
            ValueError: images of another shape, or with a side below ``encoder.least_size`` (32 for ResNet34).
        """
        *larger, x = self.encoder(images)
        x = F.relu(x)
        for upsample, like in zip(self.upsampling, reversed(larger), strict=True):
            x = resize_to(crop_to(upsample(x), like), like)
        return resize_to(crop_to(self.head(x), images), images)

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: encoder down to 1/8 of the image's side (ResNet: up to layer2); its rest; decoder."""
        return [*self.encoder.layer_groups(), [self.upsampling, self.head]]


def _upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    """Doubles the size, in the lesson's order: convolution, ReLU, batch norm."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2), nn.ReLU(inplace=True), nn.BatchNorm2d(out_channels)
    )
