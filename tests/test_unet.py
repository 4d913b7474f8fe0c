import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.segmentation.blocks import UpBlock, crop_to, resize_to
from models.segmentation.simple_decoder import SimpleSegmenter
from models.segmentation.unet import UNet
from models.segmentation.unet34 import UNet34

# torchvision's ResNet34 has 21,797,672 parameters, 512 * 1000 + 1000 of them in the classifier.
RESNET34 = 21_797_672 - 513_000


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_unet34_has_the_parameters_of_the_lesson() -> None:
    # block: transposed 2x2 convolution in * 128 * 4 + 128; 1x1 convolution skip * 128 + 128; batch norm 2 * 256
    block1 = 512 * 128 * 4 + 128 + 256 * 128 + 128 + 512
    block2 = 256 * 128 * 4 + 128 + 128 * 128 + 128 + 512
    block3 = 256 * 128 * 4 + 128 + 64 * 128 + 128 + 512
    block4 = block3
    head = 256 * 4 + 1
    assert count(UNet34(pretrained="none")) == RESNET34 + block1 + block2 + block3 + block4 + head == 22_009_665


def test_simple_decoder_has_the_parameters_of_the_lesson() -> None:
    first = 512 * 256 * 4 + 256 + 512
    others = 3 * (256 * 256 * 4 + 256 + 512)
    assert count(SimpleSegmenter(pretrained="none")) == RESNET34 + first + others + 256 * 4 + 1 == 22_599_489


def test_unet34_agrees_with_the_lessons_network() -> None:
    """The lesson's network written with functions on torchvision's layers, at a multiple of 32."""
    torch.manual_seed(0)
    net = UNet34(pretrained="none").eval()
    for block in net.blocks:  # a fresh batch norm does nothing, and would not tell its place from the ReLU's
        nn.init.normal_(block.norm.weight)
        nn.init.normal_(block.norm.bias)
    images = torch.rand(1, 3, 64, 96)
    relu, layer1, layer2, layer3, layer4 = net.encoder(images)
    x = F.relu(layer4)
    for block, skip in zip(net.blocks, (layer3, layer2, layer1, relu), strict=True):
        up = F.conv_transpose2d(x, block.up.weight, block.up.bias, stride=2)
        side = F.conv2d(skip, block.skip.weight, block.skip.bias)
        x = F.relu(torch.cat([up, side], dim=1))
        norm = block.norm
        x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    expected = F.conv_transpose2d(x, net.head.weight, net.head.bias, stride=2)
    torch.testing.assert_close(net(images), expected)


def test_simple_decoder_agrees_with_the_lessons_network() -> None:
    torch.manual_seed(0)
    net = SimpleSegmenter(pretrained="none").eval()
    norms = [m for m in net.upsampling.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    ups = [m for m in net.upsampling.modules() if isinstance(m, nn.ConvTranspose2d)]
    images = torch.rand(1, 3, 64, 96)
    x = F.relu(net.encoder(images)[-1])
    for up, norm in zip(ups, norms, strict=True):
        x = F.relu(F.conv_transpose2d(x, up.weight, up.bias, stride=2))
        x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    expected = F.conv_transpose2d(x, net.head.weight, net.head.bias, stride=2)
    torch.testing.assert_close(net(images), expected)


@pytest.mark.parametrize("build", [SimpleSegmenter, UNet34, UNet])
def test_weights_origin_is_reported(build: type[SimpleSegmenter | UNet34 | UNet]) -> None:
    assert build(pretrained="none").weights_origin == "random weights"


def test_each_logit_depends_on_its_own_pixel() -> None:
    """Every pixel of the logits depends on its own pixel of the image, corners of odd sizes included."""
    torch.manual_seed(0)
    net = UNet(encoder="mobilenet_v2", pretrained="none").eval()
    images = torch.rand(1, 3, 37, 51, requires_grad=True)
    logits = net(images)
    for row, column in [(0, 0), (36, 50), (0, 50), (18, 33)]:
        (gradient,) = torch.autograd.grad(logits[0, 0, row, column], images, retain_graph=True)
        assert gradient[0, :, row, column].abs().max() > 0


def test_unet_learns_a_line_one_pixel_wide() -> None:
    """Without the image skip and the sub-pixel head, the line would be blurred at stride 2."""
    torch.manual_seed(0)
    net = UNet(encoder="mobilenet_v3_small", pretrained="none", widths=(16, 16, 16, 16))
    images = torch.full((2, 3, 33, 64), 0.5)
    images[0, :, :, 21] = images[1, :, 10] = 1.0
    target = (images[:, :1] > 0.75).float()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(net(images), target).backward()
        optimiser.step()
    assert torch.equal((net(images) > 0).float(), target)


def test_unet_settings() -> None:
    plain = UNet(encoder="resnet18", pretrained="none", image_width=0, widths=(64, 32))
    assert [block.convs[-1][0].out_channels for block in plain.blocks] == [64, 32, 32, 32]
    assert plain.eval()(torch.rand(1, 3, 45, 70)).shape == (1, 1, 45, 70)
    assert len(plain.layer_groups()[2]) == 2
    # 3x3 convolution 3 -> 16 without bias, its batch norm, and 16 more channels into the last block's 32
    with_image = UNet(encoder="resnet18", pretrained="none", image_width=16, widths=(64, 32))
    assert count(with_image) - count(plain) == 3 * 16 * 9 + 2 * 16 + 16 * 32 * 9


@pytest.mark.parametrize("encoder", ["alexnet", "inception_v3", "densenet121", "squeezenet1_0"])
@pytest.mark.parametrize("image_width", [0, 16])
def test_unet_on_encoders_with_odd_feature_sizes(encoder: str, image_width: int) -> None:
    net = UNet(encoder=encoder, pretrained="none", image_width=image_width).eval()
    assert net(torch.rand(1, 3, 97, 130)).shape == (1, 1, 97, 130)


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"widths": (8, 0)}, {"classes": 0}, {"image_width": -1}])
def test_unet_refuses_invalid_settings(wrong: dict[str, int | tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        UNet(encoder="resnet18", pretrained="none", **wrong)  # type: ignore[arg-type]


def test_same_seed_gives_the_same_net() -> None:
    def logits() -> torch.Tensor:
        torch.manual_seed(3)
        net = UNet(encoder="mobilenet_v3_small", pretrained="none").eval()
        return net(torch.linspace(0, 1, 3 * 64 * 64).view(1, 3, 64, 64))

    assert torch.equal(logits(), logits())


def test_up_block_reduces_first_only_when_it_has_more() -> None:
    wide = UpBlock(in_channels=32, skip_channels=4, width=8)
    assert [m.in_channels for m in wide.modules() if isinstance(m, nn.Conv2d)] == [32, 12, 8]
    narrow = UpBlock(in_channels=8, skip_channels=4, width=8)
    assert [m.in_channels for m in narrow.modules() if isinstance(m, nn.Conv2d)] == [12, 8]


def test_resize_keeps_corners_and_crop_cuts_bottom_right() -> None:
    x = torch.tensor([[[[0.0, 4.0]]]])
    # bilinear with pixel centers: samples at 0.25 - 0.5 -> 0, 0.25, 0.75, 1 of the way, ends clamped
    assert resize_to(x, torch.empty(1, 9, 1, 4)).flatten().tolist() == [0.0, 1.0, 3.0, 4.0]
    grid = torch.arange(6.0).view(1, 1, 2, 3)
    assert crop_to(grid, torch.empty(1, 9, 1, 2)).flatten().tolist() == [0.0, 1.0]
