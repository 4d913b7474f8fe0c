"""Random VGG weights that distinguish textures and colors."""

import torch
from torch import Tensor, nn

from models.losses.gram import gram_matrix
from models.losses.random_filters import draw_random_filters_, natural_noise
from models.losses.vgg import VggFeatures

LAYERS = (1, 4, 9)  # of vgg11, just before its first three pools


def stripes(angle: float, *, phase: float = 0.0, period: float = 6.0, size: int = 48) -> Tensor:
    place = torch.arange(size, dtype=torch.float32)
    turn = torch.tensor(angle).deg2rad()
    across = place[:, None] * turn.sin() + place * turn.cos()
    return (0.5 + 0.4 * torch.sin(2 * torch.pi * across / period + phase)).expand(1, 3, size, size)


def styles(images: Tensor) -> list[Tensor]:
    return [gram_matrix(x) for x in VggFeatures(name="vgg11", layers=LAYERS, weights="none")(images)]


def test_channels_have_mean_0_and_deviation_1_on_natural_noise() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1))
    layers = draw_random_filters_(layers, 3)
    with torch.no_grad():
        for count in (1, 4):
            seen = layers[:count](natural_noise(8, 64, torch.Generator().manual_seed(3)))
            torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(seen.shape[1]), atol=1e-4, rtol=0)
            torch.testing.assert_close(seen.std((0, 2, 3)), torch.ones(seen.shape[1]), atol=1e-4, rtol=0)


def test_noise_is_dominated_by_coarse_luminance() -> None:
    noise = natural_noise(16, 64, torch.Generator().manual_seed(0))
    red, green, blue = noise.unbind(1)
    assert torch.corrcoef(torch.stack([red.flatten(), blue.flatten()]))[0, 1] > 0.7
    half = noise.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    assert half.var() > 0.7 * noise.var()  # white noise would lose three quarters
    assert green.var() > 0.5


def test_features_distinguish_directions_and_not_positions() -> None:
    """At every layer, rotated stripes differ more in style than shifted ones."""
    grams = [styles(x) for x in (stripes(0), stripes(0, phase=2.0), stripes(90), stripes(45))]
    for here, moved, turned, slanted in zip(*grams, strict=True):
        distance = (here - moved).square().sum()
        assert (here - turned).square().sum() > 10 * distance
        assert (here - slanted).square().sum() > 10 * distance


def test_features_distinguish_colors() -> None:
    color = torch.tensor([0.3, 0.5, 1.0]).view(1, 3, 1, 1)
    for gray, blue, moved in zip(
        styles(stripes(0)), styles(stripes(0) * color), styles(stripes(0, phase=2.0)), strict=True
    ):
        assert (gray - blue).square().sum() > 10 * (gray - moved).square().sum()


def test_flat_image_has_flat_features_up_to_the_border() -> None:
    for seen in VggFeatures(name="vgg11", layers=LAYERS, weights="none")(torch.full((1, 3, 24, 24), 0.1)):
        torch.testing.assert_close(seen, seen[..., :1, :1].expand_as(seen), atol=1e-4, rtol=0)
