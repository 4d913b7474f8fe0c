"""Random filters for an untrained VGG whose features still distinguish textures and colors.

The usual initialization with independent random numbers responds mostly to noise; images stylized with it are covered
with colored noise. The filters drawn here are edge and spot detectors of random orientation over random mixtures of
the input channels. Each is normalized to mean 0 and standard deviation 1 on noise with the spectrum of natural images,
so that every ReLU is active half of the time. This is a scattering transform (Bruna and Mallat 2013) with random
mixtures in the architecture of a VGG; Ustyuzhaninov et al. 2016 (arXiv:1606.00021) showed that random filters capture
texture.
"""

import torch
from torch import Tensor, nn

#: One kernel in so many only blurs, to pass on color and brightness.
_BLURS = 4
#: Number of channels that a kernel mixes; the first layer mixes all three colors.
_MIXED = 4


def draw_random_filters_(features: nn.Sequential, seed: int) -> nn.Sequential:
    """Draws the weights of all convolutions, in place, without using the global generator.

    Two changes to the architecture reduce responses to borders and noise: convolutions pad by replication instead of
    zeros, and max-pools become average pools.

    Args:
        features: of a VGG with 3 x 3 convolutions; batch norms, if any, are newly initialized.
        seed: of the random numbers.

    Returns:
        The same layers with average pools.
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
                mean, std = response.mean((0, 2, 3)), response.std((0, 2, 3)).clamp(min=1e-6)
                layer.weight.div_(std[:, None, None, None])
                layer.bias.copy_(-mean / std)
            x = layer(x)
    return features


def natural_noise(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Noise with the 1/f spectrum and the color correlations of natural images.

    Returns:
        (count, 3, size, size) with mean 0 and standard deviation 1.
    """
    frequency = torch.fft.fftfreq(size)
    strength = 1 / (frequency[:, None] ** 2 + frequency**2).sqrt().clamp(min=1 / size)
    spectrum = torch.fft.fft2(torch.randn(count, 3, size, size, generator=generator))
    noise = torch.fft.ifft2(spectrum * strength).real
    # luminance, blue-yellow, green-magenta: the principal axes of natural colors
    mixture = torch.tensor([[1.0, 0.35, 0.2], [1.0, 0.0, -0.3], [1.0, -0.35, 0.2]])
    noise = torch.einsum("ci,nihw->nchw", mixture, noise)
    return (noise - noise.mean()) / noise.std()


def _kernels(outputs: int, inputs: int, generator: torch.Generator) -> Tensor:
    """Draws (outputs, inputs, 3, 3): each kernel is one spatial filter over a random mixture of inputs."""
    blur, slope, ridge = torch.tensor([1.0, 2, 1]) / 4, torch.tensor([-1.0, 0, 1]) / 2, torch.tensor([1.0, -2, 1]) / 2
    pairs = [(blur, blur), (blur, slope), (slope, blur), (ridge, blur), (slope, slope), (blur, ridge)]
    basis = torch.stack([torch.outer(down, across) for down, across in pairs])
    basis /= basis.flatten(1).norm(dim=1)[:, None, None]
    # an edge of random orientation, plus some spot or saddle and a little blur
    coefficients = torch.randn(outputs, 6, generator=generator) * torch.tensor([0.2, 1, 1, 0.5, 0.5, 0.5])
    coefficients[::_BLURS] = torch.tensor([1.0, 0, 0, 0, 0, 0])
    mixture = torch.randn(outputs, inputs, generator=generator)
    if inputs > 3:
        mixture *= torch.rand(outputs, inputs, generator=generator).argsort(1) < _MIXED
    return mixture[:, :, None, None] * torch.einsum("ob,bhw->ohw", coefficients, basis)[:, None]
