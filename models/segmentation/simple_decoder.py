"""The decoder without skip connections of fast.ai's lesson 14 (2018), a baseline for the U-Nets."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.segmentation.blocks import crop_to
from models.segmentation.encoder import Encoder


class SimpleSegmenter(nn.Module):
    """ResNet34 without pool and head, ReLU, four upsampling steps of 256 channels, and one to the logits.

    Args:
        classes: number of logit channels; 1 is foreground against background.
        in_channels: channels of the images.
        pretrained: ``"none"``, ``"auto"``, ``"imagenet"`` or the path of a file (``models/weights/pretrained.py``).
    """

    def __init__(self, *, classes: int = 1, in_channels: int = 3, pretrained: str = "auto") -> None:
        super().__init__()
        self.encoder = Encoder(name="resnet34", in_channels=in_channels, pretrained=pretrained)
        self.weights_origin = self.encoder.weights_origin
        self.upsampling = nn.ModuleList(
            [_upsample(self.encoder.channels[-1], 256), _upsample(256, 256), _upsample(256, 256), _upsample(256, 256)]
        )
        self.head = nn.ConvTranspose2d(256, classes, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, in_channels, H, W) in [0, 1] to logits (N, classes, H, W), for any sides from 32 on."""
        *larger, x = self.encoder(images)
        x = F.relu(x)
        for upsample, like in zip(self.upsampling, reversed(larger), strict=True):
            x = crop_to(upsample(x), like)
        return crop_to(self.head(x), images)

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: stem to layer2; layer3 and layer4; decoder."""
        return [*self.encoder.layer_groups(), [self.upsampling, self.head]]


def _upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    """Doubles the size, in the lesson's order: convolution, ReLU, batch norm."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2), nn.ReLU(inplace=True), nn.BatchNorm2d(out_channels)
    )
