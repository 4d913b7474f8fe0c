"""Compares a super-resolution step with perceptual loss with the same step and the loss written in two other ways.

    python -m experiments.benchmarks loss [--precision 32-true] [--scales 2 4]

The network is SrResnet (64 channels, 8 blocks) at 2x and 4x, to patches of 96 pixels, batch 4; the features are those
of a VGG16 with batch norm just before its first three max-pools.

- darkroom: PerceptualLoss; the network in channels-last order.
- lesson: as fast.ai's lesson 14 has it: hooks keep the features, all layers of the VGG run, in contiguous order and
  float32, with batch norm as a layer.
- hooks: the same at its best: layers after the last one compared are cut off, the target runs without gradients,
  network and VGG are in channels-last order and in ``--precision``.

Before timing, the three losses of the same images are compared: they must agree within 1 percent.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn

from experiments.benchmarks.interleave import Goal, add_arguments, interleave, machine, report
from experiments.benchmarks.train_step import ImageLoss, against, device, train_step
from models.losses.perceptual import PerceptualLoss
from models.normalize import Normalize
from models.super_resolution.sr_resnet import SrResnet

LAYERS, WEIGHTS, PIXEL_WEIGHT = (5, 12, 22), (0.2, 0.7, 0.1), 0.01
OURS, LESSON, HOOKS = "darkroom", "lesson", "hooks"


def main(argv: Sequence[str]) -> int:
    """Prints a table for each scale."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks loss", description="Steps with perceptual loss.")
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 4], help="magnifications")
    add_arguments(parser)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    losses = make_losses()
    _check(losses)
    print(machine("torchvision"))
    return max(_compare(scale, losses, options) for scale in options.scales)


def make_losses() -> dict[str, ImageLoss]:
    """The three losses, with the same weights."""
    vgg = torchvision.models.vgg16_bn(weights=None).features.eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vgg.pth"
        torch.save({f"features.{name}": value for name, value in vgg.state_dict().items()}, file)
        ours = PerceptualLoss(layers=LAYERS, layer_weights=WEIGHTS, pixel_weight=PIXEL_WEIGHT, weights=str(file))
        ours.load()
    ours.to(device())
    hooks = hooked_loss(vgg[: LAYERS[-1] + 1], channels_last=True, target_grad=False)
    return {
        OURS: lambda preds, target: torch.stack(list(ours(preds, target).values())).sum(),
        LESSON: hooked_loss(vgg, channels_last=False, target_grad=True),
        HOOKS: hooks,
    }


def hooked_loss(vgg: nn.Sequential, *, channels_last: bool, target_grad: bool) -> ImageLoss:
    """A feature loss whose features are kept by forward hooks."""
    layers = nn.Sequential(*(_copied(layer) for layer in vgg)).to(device())
    if channels_last:
        layers = layers.to(memory_format=torch.channels_last)
    normalize = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).to(device())
    kept: dict[int, Tensor] = {}
    for number in LAYERS:
        layers[number].register_forward_hook(_keeper(kept, number))

    def features_of(images: Tensor) -> list[Tensor]:
        layers(normalize(images))
        return [kept[number] for number in LAYERS]

    def loss(preds: Tensor, target: Tensor) -> Tensor:
        with torch.set_grad_enabled(target_grad):
            expected = [features.detach().clone() for features in features_of(target)]
        total = PIXEL_WEIGHT * F.l1_loss(preds.float(), target)
        for weight, own, other in zip(WEIGHTS, features_of(preds), expected, strict=True):
            total = total + weight * F.l1_loss(own.float(), other.float())
        return total

    return loss


def _keeper(kept: dict[int, Tensor], number: int) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
    def keep(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG001
        kept[number] = output

    return keep


def _copied(layer: nn.Module) -> nn.Module:
    """A copy with its own weights; an in-place ReLU stays one, as torchvision has it."""
    if isinstance(layer, nn.Conv2d):
        copied: nn.Module = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
    elif isinstance(layer, nn.BatchNorm2d):
        copied = nn.BatchNorm2d(layer.num_features)
    else:
        return layer
    copied.load_state_dict(layer.state_dict())
    return copied.eval().requires_grad_(False)


def _check(losses: dict[str, ImageLoss]) -> None:
    preds, target = torch.rand(2, 2, 3, 64, 64, device=device())
    values = {name: loss(preds, target).item() for name, loss in losses.items()}
    print("loss on the same images:", ", ".join(f"{name} {value:.6g}" for name, value in values.items()))
    if max(values.values()) > 1.01 * min(values.values()):
        raise RuntimeError("the losses differ by more than 1 percent: their times cannot be compared")


def _compare(scale: int, losses: dict[str, ImageLoss], options: argparse.Namespace) -> int:
    low = torch.rand(4, 3, 96 // scale, 96 // scale, device=device())
    high = torch.rand(4, 3, 96, 96, device=device())
    steps = {}
    for name, loss in losses.items():
        net = SrResnet(width=64, blocks=8, max_scale=scale)
        settings = options
        if name == LESSON:
            settings = argparse.Namespace(precision="32-true")
        else:
            net = net.to(memory_format=torch.channels_last)
        steps[name] = train_step(net, low, against(loss, high), settings)
    title = f"perceptual loss, {scale}x"
    measured = interleave(steps, options=options, clock="processor", device=device(), title=title)
    goals = [Goal(OURS, LESSON, 2.0), Goal(OURS, HOOKS, 1.0)]
    return report(f"{title}, to 96 px, batch 4, {options.precision}", measured, goals, options=options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
