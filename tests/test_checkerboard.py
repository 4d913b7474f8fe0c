"""No checkerboards: what a network makes of a flat picture has nothing at the frequencies of the pixel shuffle."""

import numpy as np
import pytest
import torch

from models.sr_resnet import SrResnet
from models.subpixel import SubpixelUpsample, icnr_


def peak(scale: int, *, icnr: bool) -> float:
    """The strongest amplitude at the pixel shuffle's frequencies, in grey levels, away from the border."""
    torch.manual_seed(0)
    net = SrResnet(width=16, max_scale=scale).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.1)  # it starts at zero, which would hide everything
    for block in net.upsampling:
        if icnr and isinstance(block, SubpixelUpsample):
            icnr_(block.conv, block.scale)
    with torch.no_grad():
        flat = net(torch.full((1, 3, 56, 56), 0.7))[0, 0].numpy()
    inner = flat[24 * scale : -24 * scale, 24 * scale : -24 * scale] * 255
    spectrum = abs(np.fft.fft2(inner)) / inner.size
    every = len(inner) // scale  # whole multiples of this frequency repeat with the shuffle's square
    shuffle = spectrum[::every, ::every].copy()
    shuffle[0, 0] = 0  # the mean
    return float(shuffle.max())


@pytest.mark.parametrize("scale", [2, 4])
def test_a_flat_picture_stays_flat_after_icnr(scale: int) -> None:
    assert peak(scale, icnr=True) < 0.01
    assert peak(scale, icnr=False) > 0.5  # what it looks like without
