"""Compares the training steps of the style networks: the one that recipes use, that of version 0.1, and a peer.

    python -m experiments.benchmarks step style style-loss

``style``: the network alone at 256 pixels, batch 1, with a mean square as its loss. ``style-loss``: the whole step with
VGG16 at 128 pixels, batch 4, content and four layers of style.

- darkroom: StyleResnet with the border of the layers, and StyleLoss.
- version 0.1: the lesson's border of 40 pixels around the image, channels-last order, a plain last convolution, and a
  VGG16 in contiguous order.
- TransformerNet (``transformer_net.py``), with the loss as PyTorch's example writes it: one pass of VGG16 over the
  results and one over the images, Gram matrices by ``bmm``.

Before timing, the losses of the first two are compared on the same images: they must agree within 0.1 percent.
"""

import argparse

import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn

from experiments.benchmarks.interleave import Goal, interleave, report
from experiments.benchmarks.train_step import ImageLoss, against, device, train_step
from experiments.benchmarks.transformer_net import TransformerNet
from models.losses.style import StyleLoss
from models.style.style_resnet import Border, StyleResnet

LAYERS = (3, 8, 15, 22)
NEW, OLD, PEER = "darkroom", "version 0.1", "TransformerNet"


def style_step(options: argparse.Namespace) -> int:
    """Times the networks alone."""
    images = torch.rand(1, 3, 256, 256, device=device())
    nets = {NEW: styled("layers"), OLD: first_version(), PEER: TransformerNet()}
    steps = {name: train_step(net, images, lambda out: out.square().mean(), options) for name, net in nets.items()}
    measured = interleave(steps, options=options, clock="processor", device=device(), title="style network")
    goals = [Goal(NEW, PEER, 1.0), Goal(NEW, OLD, 1.0)]
    return report(f"style network, 256 px, batch 1, {options.precision}", measured, goals, options=options)


def style_loss_step(options: argparse.Namespace) -> int:
    """Times the whole steps."""
    images = torch.rand(4, 3, 128, 128, device=device())
    ours, first = our_loss(images), our_loss(images)
    assert_equal_losses(ours, first)
    losses = {
        NEW: (styled("layers"), _total(ours)),
        OLD: (first_version(), _total(first)),
        PEER: (TransformerNet(), plain_loss(torch.rand(1, 3, 256, 256))),
    }
    steps = {name: train_step(net, images, against(loss, images), options) for name, (net, loss) in losses.items()}
    measured = interleave(steps, options=options, clock="processor", device=device(), title="style step")
    goals = [Goal(NEW, OLD, 1.7), Goal(NEW, PEER, 1.0)]
    return report(f"style step with VGG16, 128 px, batch 4, {options.precision}", measured, goals, options=options)


def styled(border: Border) -> StyleResnet:
    """The network of the style recipes."""
    return StyleResnet(norm="instance", upsample="bilinear", border=border)


def first_version() -> nn.Module:
    """The network of the recipe ``painting`` in version 0.1."""
    net = styled("image")
    net.tail = nn.Conv2d(32, 3, 9, padding=4, padding_mode="reflect")
    return net.to(memory_format=torch.channels_last)


def our_loss(images: Tensor) -> StyleLoss:
    """A calibrated loss whose style is noise."""
    loss = StyleLoss(name="vgg16", layers=LAYERS, content_layer=15, weights="none").to(device())
    loss.set_style(torch.rand(3, 256, 256, generator=torch.Generator().manual_seed(0)))
    loss.calibrate(images)
    return loss


def assert_equal_losses(ours: StyleLoss, first: StyleLoss) -> None:
    """Puts the VGG of ``first`` in contiguous order, as version 0.1 had it, and checks that both losses agree.

    Raises:
        RuntimeError: if they differ by more than 0.1 percent.
    """
    ours.load()
    first.load()
    if first.features is not None:
        first.features._held[0].to(memory_format=torch.contiguous_format)
    preds, content = torch.rand(2, 2, 3, 64, 64, device=device())
    found, expected = (_total(loss)(preds, content).item() for loss in (ours, first))
    print(f"loss on the same images: {found:.6g} and {expected:.6g}")
    if abs(found - expected) > 1e-3 * expected:
        raise RuntimeError("the losses differ by more than 0.1 percent: their times cannot be compared")


def plain_loss(style: Tensor) -> ImageLoss:
    """The loss as PyTorch's example writes it, with torchvision's layers."""
    vgg = torchvision.models.vgg16(weights=None).features[: LAYERS[-1] + 1]
    for layer in vgg:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    vgg = vgg.eval().requires_grad_(False).to(device())

    def features_of(images: Tensor) -> list[Tensor]:
        x, found = images, []
        for number, layer in enumerate(vgg):
            x = layer(x)
            if number in LAYERS:
                found.append(x)
        return found

    def gram(features: Tensor) -> Tensor:
        number, channels, height, width = features.shape
        rows = features.view(number, channels, height * width)
        return rows.bmm(rows.transpose(1, 2)) / (channels * height * width)

    with torch.no_grad():
        targets = [gram(features) for features in features_of(style.to(device()))]

    def loss(preds: Tensor, content: Tensor) -> Tensor:
        features, kept = features_of(preds), features_of(content)
        total = 1e5 * F.mse_loss(features[1], kept[1])
        for own, target in zip(features, targets, strict=True):
            total = total + 1e10 * F.mse_loss(gram(own), target.expand(len(own), -1, -1))
        return total

    return loss


def _total(loss: StyleLoss) -> ImageLoss:
    return lambda preds, content: torch.stack(list(loss(preds, content).values())).sum()
