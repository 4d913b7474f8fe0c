"""The U-Net on ResNet34 of fast.ai's lesson 14 (2018), after Ronneberger et al. 2015."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpointing import apply_layer
from models.segmentation.blocks import crop_to
from models.segmentation.encoder import Encoder


class UNet34(nn.Module):
    """ResNet34 as encoder, four decoder blocks, a transposed convolution; skips from relu, layer1, layer2 and layer3.

    Extends the lesson's network to sides that are no multiple of 32 and to several classes.

    Args:
        classes: number of logit channels; 1 is foreground against background.
        in_channels: channels of the images.
        pretrained: ``"none"``, ``"auto"``, ``"imagenet"`` or the path of a file (``models/weights/pretrained.py``).
        checkpointing: whether the backward pass computes encoder and decoder again (``models/checkpointing.py``): less
            than 0.4 of the activations are kept, for the time of one more forward pass. The results are the same.
    """

    def __init__(
        self, *, classes: int = 1, in_channels: int = 3, pretrained: str = "auto", checkpointing: bool = False
    ) -> None:
        super().__init__()
        self.encoder = Encoder(
            name="resnet34", in_channels=in_channels, pretrained=pretrained, checkpointing=checkpointing
        )
        self.checkpointing = checkpointing
        self.weights_origin = self.encoder.weights_origin
        relu, layer1, layer2, layer3, layer4 = self.encoder.channels
        self.blocks = nn.ModuleList(
            [
                ConcatBlock(in_channels=layer4, skip_channels=layer3),
                ConcatBlock(in_channels=256, skip_channels=layer2),
                ConcatBlock(in_channels=256, skip_channels=layer1),
                ConcatBlock(in_channels=256, skip_channels=relu),
            ]
        )
        self.head = nn.ConvTranspose2d(256, classes, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, in_channels, H, W) in [0, 1] to logits (N, classes, H, W), for any sides from 32 on."""
        *skips, x = self.encoder(images)
        x = F.relu(x)
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = apply_layer(block, x, skip, checkpointing=self.checkpointing)
        return crop_to(self.head(x), images)

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: stem to layer2; layer3 and layer4; decoder."""
        return [*self.encoder.layer_groups(), [self.blocks, self.head]]


class ConcatBlock(nn.Module):
    """Concatenates a transposed convolution of ``x`` and a 1x1 convolution of the skip; then ReLU, batch norm.

    Args:
        in_channels: channels of the deeper feature map.
        skip_channels: channels of the skip connection.
        width: channels of the output, half of them from each input.
    """

    def __init__(self, *, in_channels: int, skip_channels: int, width: int = 256) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, width // 2, 2, stride=2)
        self.skip = nn.Conv2d(skip_channels, width // 2, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Maps (N, in_channels, h, w) and the skip (N, skip_channels, H, W) to (N, width, H, W)."""
        joined = torch.cat([crop_to(self.up(x), skip), self.skip(skip)], dim=1)
        out: Tensor = self.norm(F.relu(joined))
        return out
