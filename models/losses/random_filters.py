"""Weights for a VGG that never learned anything, such that what it sees still tells textures and colors apart.

Independent random numbers in every kernel, as networks are commonly started, see mostly grain: images painted by
them are covered with colored noise. What is drawn here are edge and spot detectors of random orientation over random
mixtures of the channels below, each brought to mean 0 and deviation 1 on noise with the spectrum of images, so
that every ReLU is closed half of the time. It is a scattering transform (Bruna and Mallat 2013) with random mixtures,
in the shape of a VGG; that random filters carry texture is from Ustyuzhaninov et al. 2016 (arXiv:1606.00021).
"""

import torch
from torch import Tensor, nn

#: Share of the kernels that only blur: they hand colors and brightness on.
_BLURS = 4
#: Channels that a kernel mixes, except in the first layer, where it sees all colors.
_MIXED = 4


def draw_random_filters_(features: nn.Sequential, seed: int) -> nn.Sequential:
    """Draws all convolutions anew, in place, leaving the global generator alone.

    Two more things keep an image's borders and grain from being seen where there is nothing to see: convolutions
    repeat the outermost pixels instead of adding a black frame, and pools take means instead of maxima.

    Args:
        features: of a VGG, its convolutions 3 x 3 and its batch norms, if there are any, at their start.
        seed: of the random numbers.

    Returns:
        The same layers, with other pools between them.
    """
    features = nn.Sequential(*(nn.AvgPool2d(2) if isinstance(x, nn.MaxPool2d) else x for x in features))
    generator = torch.Generator().manual_seed(seed)
    x = natural_noise(8, 64, generator)
    with torch.no_grad():
        for layer in features:
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:  # in VGG all have one
                layer.padding_mode = "replicate"
                layer.weight.copy_(_kernels(layer.out_channels, layer.in_channels, generator))
                layer.bias.zero_()
                response = layer(x)
                mean, deviation = response.mean((0, 2, 3)), response.std((0, 2, 3)).clamp(min=1e-6)
                layer.weight.div_(deviation[:, None, None, None])
                layer.bias.copy_(-mean / deviation)
            x = layer(x)
    return features


def natural_noise(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Noise whose strength falls with its frequency and whose colors are mostly brightness, as in images.

    Returns:
        (count, 3, size, size) of mean 0 and deviation 1.
    """
    frequency = torch.fft.fftfreq(size)
    strength = 1 / (frequency[:, None] ** 2 + frequency**2).sqrt().clamp(min=1 / size)
    spectrum = torch.fft.fft2(torch.randn(count, 3, size, size, generator=generator))
    noise = torch.fft.ifft2(spectrum * strength).real
    # brightness, blue against yellow, green against the others: the axes along which natural colors vary
    mixture = torch.tensor([[1.0, 0.35, 0.2], [1.0, 0.0, -0.3], [1.0, -0.35, 0.2]])
    noise = torch.einsum("ci,nihw->nchw", mixture, noise)
    return (noise - noise.mean()) / noise.std()


def _kernels(outputs: int, inputs: int, generator: torch.Generator) -> Tensor:
    """Draws (outputs, inputs, 3, 3), each the same shape over a random mixture of inputs."""
    blur, slope, ridge = torch.tensor([1.0, 2, 1]) / 4, torch.tensor([-1.0, 0, 1]) / 2, torch.tensor([1.0, -2, 1]) / 2
    pairs = [(blur, blur), (blur, slope), (slope, blur), (ridge, blur), (slope, slope), (blur, ridge)]
    basis = torch.stack([torch.outer(down, across) for down, across in pairs])
    basis /= basis.flatten(1).norm(dim=1)[:, None, None]
    # an edge in a random direction, with some of a spot or saddle and a little of a blur
    shares = torch.randn(outputs, 6, generator=generator) * torch.tensor([0.2, 1, 1, 0.5, 0.5, 0.5])
    shares[::_BLURS] = torch.tensor([1.0, 0, 0, 0, 0, 0])
    mixture = torch.randn(outputs, inputs, generator=generator)
    if inputs > 3:
        mixture *= torch.rand(outputs, inputs, generator=generator).argsort(1) < _MIXED
    return mixture[:, :, None, None] * torch.einsum("ob,bhw->ohw", shares, basis)[:, None]
