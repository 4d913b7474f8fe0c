import pytest
import torch
import torchvision
from segmentation_models_pytorch.encoders import get_encoder
from torch import nn

from models.normalize import Normalize
from models.segmentation.encoder import Encoder
from models.segmentation.feature_extraction import find_feature_layers

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def encoder(name: str, *, in_channels: int = 3) -> Encoder:
    torch.manual_seed(0)
    return Encoder(name=name, in_channels=in_channels, pretrained="none")


# Counted by hand from the tables of the papers; the first entry is the feature map nearest to the image.
@pytest.mark.parametrize(
    ("name", "channels", "reductions"),
    [
        ("resnet34", (64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
        ("resnet50", (64, 256, 512, 1024, 2048), (2, 4, 8, 16, 32)),
        ("mobilenet_v2", (16, 24, 32, 96, 1280), (2, 4, 8, 16, 32)),
        ("vgg11", (64, 128, 256, 512, 512), (1, 2, 4, 8, 16)),
        ("convnext_tiny", (96, 192, 384, 768), (4, 8, 16, 32)),
        ("regnet_y_400mf", (32, 48, 104, 208, 440), (2, 4, 8, 16, 32)),
        ("squeezenet1_1", (64, 128, 256, 512), (2, 4, 8, 16)),
        ("inception_v3", (64, 192, 288, 768, 2048), (2, 4, 8, 16, 32)),
    ],
)
def test_feature_maps_are_found_by_a_forward_pass(
    name: str, channels: tuple[int, ...], reductions: tuple[int, ...]
) -> None:
    net = encoder(name).eval()
    assert net.channels == channels
    assert net.reductions == reductions
    assert net.least_size == reductions[-1]
    assert tuple(f.shape[1] for f in net(torch.rand(1, 3, 96, 96))) == channels


def test_resnet_skips_are_relu_and_layers() -> None:
    """The maps equal those of the network's forward, recorded by hooks at the layers of the lesson."""
    torch.manual_seed(0)
    classifier = torchvision.models.resnet18(weights=None).eval()
    net = encoder("resnet18").eval()
    seen = {}
    for name in ("relu", "layer1", "layer2", "layer3", "layer4"):
        classifier.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.setdefault(name, output.clone())
        )
    images = torch.rand(2, 3, 64, 96)
    classifier((images - MEAN) / STD)
    for ours, theirs in zip(net(images), seen.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet34", "mobilenet_v2"])
def test_features_agree_with_segmentation_models_pytorch(name: str) -> None:
    ours = encoder(name)
    theirs = get_encoder(name, weights=None)
    for module in ours.modules():  # numbers that tell: fresh batch norms are all alike
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    values = [v for k, v in ours.state_dict().items() if k.startswith("stages.")]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), values, strict=True)))
    ours.eval(), theirs.eval()
    images = torch.rand(2, 3, 64, 96)
    expected = theirs((images - MEAN) / STD)[1:]
    for result, wanted in zip(ours(images), expected, strict=True):
        assert (result - wanted).abs().max() <= 1e-5 * wanted.abs().max().clamp_min(1)


def test_classification_head_is_dropped() -> None:
    head = sum(p.numel() for p in torchvision.models.mobilenet_v2(weights=None).classifier.parameters())
    whole = sum(p.numel() for p in torchvision.models.mobilenet_v2(weights=None).parameters())
    assert sum(p.numel() for p in encoder("mobilenet_v2").parameters()) == whole - head


def test_last_pool_of_vgg_is_dropped() -> None:
    assert not isinstance(list(encoder("vgg11").stages[-1])[-1], nn.MaxPool2d)


def test_feature_extraction_leaves_the_net_unchanged() -> None:
    torch.manual_seed(0)
    net = torchvision.models.mobilenet_v3_small(weights=None)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    find_feature_layers(net)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m._forward_hooks for m in net.modules())


def test_feature_extraction_ends_before_functional_operations() -> None:
    class Doubling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.second = nn.Conv2d(4, 8, 3, stride=2, padding=1)
            self.third = nn.Conv2d(8, 8, 3, stride=2, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.third(2 * self.second(self.first(x)))
            return out

    assert [tuple(layer) for layer in find_feature_layers(Doubling())] == [("first", 4, 2), ("second", 8, 4)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet43", "no classifier named 'resnet43'; did you mean resnet"),
        ("vit_b_16", "vit_b_16 cannot be an encoder: it does not take images of any size"),
        ("swin_t", "swin_t cannot be an encoder: it is no chain of layers"),
    ],
)
def test_unsupported_networks_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(name)


def first_conv(net: nn.Module) -> nn.Conv2d:
    return next(m for m in net.modules() if isinstance(m, nn.Conv2d))


def test_fourth_channel_starts_with_the_mean_of_the_rgb_weights() -> None:
    three, four = first_conv(encoder("resnet18")), first_conv(encoder("resnet18", in_channels=4))
    assert four.in_channels == 4
    torch.testing.assert_close(four.weight[:, :3] * 4 / 3, three.weight)
    expected = (three.weight[:, 0] + three.weight[:, 1] + three.weight[:, 2]) / 3
    torch.testing.assert_close(four.weight[:, 3] * 4 / 3, expected)


@pytest.mark.parametrize("channels", [1, 2, 4, 9])
def test_equal_channels_give_the_output_of_the_gray_rgb_image(channels: int) -> None:
    torch.manual_seed(1)
    gray = torch.rand(1, 1, 32, 32)
    other, three = first_conv(encoder("resnet18", in_channels=channels)), first_conv(encoder("resnet18"))
    outputs = other(gray.expand(-1, channels, -1, -1)), three(gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)


def test_zero_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="in_channels=0"):
        encoder("resnet18", in_channels=0)


def test_normalization_is_that_of_the_weights() -> None:
    assert encoder("resnet18").normalize.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert encoder("inception_v3").normalize.std.flatten().tolist() == [0.5, 0.5, 0.5]


def test_normalize_by_hand() -> None:
    layer = Normalize(mean=(0.1, 0.2, 0.6), std=(0.5, 0.25, 0.3), channels=4)
    result = layer(torch.tensor([0.6, 0.7, 0.6, 0.65]).view(1, 4, 1, 1))
    # the fourth channel has mean 0.3 and deviation 0.35
    torch.testing.assert_close(result.flatten(), torch.tensor([1.0, 2.0, 0.0, 1.0]))
    assert set(layer.state_dict()) == {"mean", "std"}


def test_layer_groups_of_a_resnet_are_stem_to_layer2_and_the_rest() -> None:
    """Parameters by hand, per torchvision's ResNet18: conv1 9408 + bn1 128, layer1 147968, layer2 525568."""
    first, second = encoder("resnet18").layer_groups()
    assert sum(p.numel() for m in first for p in m.parameters()) == 9408 + 128 + 147968 + 525568
    assert sum(p.numel() for m in second for p in m.parameters()) == 2099712 + 8393728
