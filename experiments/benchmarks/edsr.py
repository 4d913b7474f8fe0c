"""EDSR-baseline (Lim et al. 2017, arXiv:1707.02921), written from the paper: 16 residual blocks of 64 channels.

No batch norm, ReLU inside the blocks, residual scaling of 1, sub-pixel upsampling, mean of the colors subtracted. Used
as a peer in ``experiments.benchmarks.sr_step``.
"""

import torch
from torch import Tensor, nn

_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K


class Edsr(nn.Module):
    """Maps images (N, 3, H, W) in [0, 1] to images twice as large.

    Args:
        width: channels.
        blocks: number of residual blocks.
    """

    mean: Tensor

    def __init__(self, *, width: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(_Block(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1))
        self.tail = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(width, 3, 3, padding=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Enlarges images."""
        x = self.head(images - self.mean)
        out: Tensor = self.tail(x + self.body(x)) + self.mean
        return out


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(self.relu(self.conv1(x)))
        return out
