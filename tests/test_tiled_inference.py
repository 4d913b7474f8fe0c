"""Tiled inference and self-ensemble: the result does not depend on how the image is divided."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.style.style_resnet import StyleResnet
from models.super_resolution.self_ensemble import self_ensemble
from models.super_resolution.sr_resnet import SrResnet, enlarge
from models.tiled_inference import fitting_tile, tile_starts, tiled_inference


def random_image(height: int, width: int) -> Tensor:
    coarse = torch.rand(1, 3, height // 4 + 1, width // 4 + 1, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiles_equal_the_whole_image_for_a_local_net(scale: int) -> None:
    image = random_image(67, 90)

    def net(tile: Tensor) -> Tensor:
        return F.interpolate(tile, scale_factor=scale, mode="nearest")

    made = tiled_inference(net, image, scale=scale, tile=32, overlap=8)
    torch.testing.assert_close(made, net(image), rtol=0, atol=1e-6)


def test_seams_are_below_a_gray_level() -> None:
    torch.manual_seed(0)
    net = SrResnet(width=16, max_scale=2).eval()
    for parameter in net.tail.parameters():  # starts at zero: a net whose body counts is wanted
        torch.nn.init.normal_(parameter, std=0.05)
    image = random_image(150, 131)
    with torch.no_grad():
        whole, tiled = net(image), tiled_inference(net, image, scale=2, tile=80, overlap=48)
        exact = tiled_inference(net, image, scale=2, tile=80, overlap=56)
        assert (whole - enlarge(image, 2)).abs().max() > 0.05  # or else bicubic alone would be compared
    assert (whole - tiled).abs().max() < 1 / 255
    torch.testing.assert_close(exact, whole, rtol=0, atol=1e-5)  # 21 pixels are left out; the net sees 20


def test_tile_size_is_bounded() -> None:
    seen: list[tuple[int, ...]] = []

    def net(tile: Tensor) -> Tensor:
        seen.append(tuple(tile.shape[2:]))
        return tile

    tiled_inference(net, random_image(100, 30), scale=1, tile=40, overlap=10)
    assert seen == [(40, 30)] * 3


def test_tiles_cover_the_image_with_enough_overlap() -> None:
    for length in range(1, 300):
        starts = tile_starts(length, 64, 16)
        ends = [start + min(64, length) for start in starts]
        assert starts[0] == 0
        assert ends[-1] == length
        assert all(end - start >= 16 for end, start in zip(ends[:-1], starts[1:], strict=True))


def test_tiles_are_not_larger_than_their_number_requires() -> None:
    seen: list[tuple[int, ...]] = []

    def net(tile: Tensor) -> Tensor:
        seen.append(tuple(tile.shape[2:]))
        return tile

    tiled_inference(net, random_image(512, 330), scale=1, tile=320, overlap=48)
    assert seen == [(280, 189)] * 4  # (512 + 48) / 2 and (330 + 48) / 2
    for length, multiple in product(range(65, 300), (1, 4)):
        side = fitting_tile(length, 64, 16, multiple)
        starts = tile_starts(length, side, 16, multiple)
        assert side % multiple == 0
        assert len(starts) == len(tile_starts(length, 64, 16, multiple))
        assert starts[-1] + side >= length
        assert all(first + side - second >= 16 for first, second in pairwise(starts))


def test_aligned_tiles_equal_the_whole_image_for_a_strided_net() -> None:
    torch.manual_seed(0)
    net = StyleResnet(width=4, blocks=1).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.5)  # contrast as that of a trained net
    for size in ((97, 131), (128, 97), (99, 64)):
        image = random_image(*size)
        with torch.no_grad():
            whole = net(image)
            tiled = tiled_inference(net, image, scale=1, tile=96, overlap=76, multiple=4)  # 28 of 76: its reach
            off = tiled_inference(net, image, scale=1, tile=96, overlap=76)
        torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
        assert (off - whole).abs().max() > 1 / 255


def test_aligned_tiles_cover_the_image_with_enough_overlap() -> None:
    for length in range(1, 300):
        starts = tile_starts(length, 64, 16, 4)
        ends = [min(start + 64, length) for start in starts]
        assert starts[0] == 0
        assert ends[-1] == length
        assert all(start % 4 == 0 for start in starts)
        assert all(first + 64 - second >= 16 for first, second in pairwise(starts))
    with pytest.raises(ValueError, match="multiples of 4, not 64 and 18"):
        tiled_inference(lambda tile: tile, random_image(80, 80), scale=1, tile=64, overlap=18, multiple=4)


def test_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="below the tile's side of 16, not 16"):
        tiled_inference(lambda tile: tile, random_image(20, 20), scale=1, tile=16, overlap=16)


def test_ensemble_uses_all_eight_symmetries_and_inverts_them() -> None:
    seen: list[Tensor] = []
    image = random_image(8, 12)

    def net(images: Tensor) -> Tensor:
        seen.append(images)
        return F.interpolate(images, scale_factor=2, mode="nearest")

    torch.testing.assert_close(self_ensemble(net, image), F.interpolate(image, scale_factor=2, mode="nearest"))
    assert len({tuple(one.flatten().tolist()) for one in seen}) == 8


def test_ensemble_cancels_directional_bias() -> None:
    ramp = torch.linspace(-1, 1, 6).expand(1, 3, 6, 6)
    made = self_ensemble(lambda images: images + ramp, torch.zeros(1, 3, 6, 6))
    torch.testing.assert_close(made, torch.zeros(1, 3, 6, 6), rtol=0, atol=1e-6)
