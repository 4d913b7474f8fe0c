"""Instance norm over tiles: equal to torch's without tiles, with statistics of the whole image otherwise."""

import pytest
import torch
from torch import nn

from models.style.tiled_instance_norm import TiledInstanceNorm2d, shared_statistics


def maps(seed: int, *size: int) -> torch.Tensor:
    return 3 + 2 * torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_untiled_instance_norm_equals_torch() -> None:
    ours, own = TiledInstanceNorm2d(4), nn.InstanceNorm2d(4, affine=True)
    nn.init.normal_(ours.weight)
    own.load_state_dict(ours.state_dict())
    # as group norm with one group per channel, which adds in another order
    torch.testing.assert_close(ours(maps(0, 2, 4, 5, 7)), own(maps(0, 2, 4, 5, 7)), rtol=0, atol=1e-6)


@torch.no_grad()
def test_tiles_use_statistics_of_the_whole_image() -> None:
    """Two layers with a reach of one pixel, measured at full size, equal torch on the whole image."""
    whole = maps(1, 1, 4, 6, 10)
    whole[..., 5:] *= 10
    net = nn.Sequential(TiledInstanceNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1), TiledInstanceNorm2d(5))
    own = nn.Sequential(nn.InstanceNorm2d(4, affine=True), net[1], net[2], nn.InstanceNorm2d(5, affine=True))
    tiles = [whole[..., :3], whole[..., 3:]]
    with shared_statistics(net, net, whole, side=10):
        made = torch.cat([net(tile) for tile in tiles], dim=3)
    torch.testing.assert_close(made, own(whole), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(net(tiles[0]), own(tiles[0]))  # each its own again
    assert set(net[0].state_dict()) == {"weight", "bias"}


def test_statistics_are_measured_at_the_given_size() -> None:
    met = []

    class Norm(TiledInstanceNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            met.append(tuple(x.shape))
            return super().forward(x)

    norm, other = Norm(3), nn.BatchNorm2d(3)
    with shared_statistics(norm, norm, maps(2, 1, 3, 40, 100), side=50):
        pass
    with shared_statistics(other, other, maps(2, 1, 3, 40, 100), side=50):  # nothing to measure
        pass
    assert met == [(1, 3, 20, 50)]


def test_error_resets_the_state() -> None:
    norm = TiledInstanceNorm2d(4)
    image = maps(2, 1, 4, 5, 5)
    with pytest.raises(ArithmeticError), shared_statistics(norm, norm, image, side=5):
        raise ArithmeticError
    other = maps(3, 1, 4, 5, 5)
    torch.testing.assert_close(norm(other), nn.InstanceNorm2d(4)(other))
