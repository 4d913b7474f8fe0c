"""StyleResnet: the contract of a network, its border against NumPy, its blocks against a case by hand."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.layer_groups import LayerGroups
from models.style.blocks import ResidualBlock
from models.style.reflection import reflect
from models.style.style_resnet import StyleResnet

KINDS = [("batch", "nearest"), ("batch", "bilinear"), ("instance", "nearest"), ("instance", "bilinear")]


def small_net(**options: object) -> StyleResnet:
    torch.manual_seed(0)
    return StyleResnet(**({"width": 4, "blocks": 2} | options))  # type: ignore[arg-type]


def learnt_net(**options: object) -> StyleResnet:
    """A net with random norm statistics and scales."""
    net = small_net(**options)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.05, 0.2)  # type: ignore[arg-type]
    return net.eval()


def random_images(height: int, width: int, *, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("norm", "upsample"), KINDS)
def test_output_has_the_input_size_and_range(norm: str, upsample: str) -> None:
    net = small_net(norm=norm, upsample=upsample).eval()
    for side in range(1, 71):
        result = net(random_images(side, 71 - side, count=1))
        assert result.shape == (1, 3, side, 71 - side)
        assert result.dtype == torch.float32
        assert 0 <= result.min() <= result.max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 40), (41, 90)])
def test_border_agrees_with_numpy_reflection(size: tuple[int, int]) -> None:
    images = random_images(*size)
    height, width = (max(8, -(-length // 4) * 4) for length in size)
    below, right = height - size[0], width - size[1]
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), (40, 40 + below), (40, 40 + right)), mode="reflect")
    assert np.array_equal(reflect(images, 40, least=8, multiple=4).numpy(), expected)


def test_shortcut_is_center_cropped() -> None:
    """By hand: first convolution the middle pixel times 2, second its left neighbour times 3, norms untrained."""
    block = ResidualBlock(width=1, norm="batch").eval()
    for conv, place, factor in ((block.conv1, (1, 1), 2.0), (block.conv2, (1, 0), 3.0)):
        nn.init.zeros_(conv.weight)
        conv.weight.data[0, 0, place[0], place[1]] = factor
    x = torch.arange(1.0, 37.0).view(1, 1, 6, 6)
    expected = torch.tensor([[15 + 6 * 14, 16 + 6 * 15], [21 + 6 * 20, 22 + 6 * 21]]).float()
    torch.testing.assert_close(block(x)[0, 0], expected, rtol=1e-4, atol=0)


def test_parameters_counted_by_hand() -> None:
    down = 3 * 32 * 81 + 64 + 32 * 64 * 9 + 128 + 64 * 128 * 9 + 256
    blocks = 5 * 2 * (128 * 128 * 9 + 256)
    up = 128 * 64 * 9 + 128 + 64 * 32 * 9 + 64 + 32 * 3 * 81 + 3
    for norm in ("batch", "instance"):
        assert sum(p.numel() for p in StyleResnet(norm=norm).parameters()) == down + blocks + up == 1_677_635


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
def test_interior_agrees_with_an_unpadded_computation(upsample: str) -> None:
    """The interior equals the result of torch's functions without padding."""
    net = learnt_net(upsample=upsample)
    images = random_images(100, 112)

    def norm(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
        own = layer.state_dict()
        mean, var = own["running_mean"].view(-1, 1, 1), own["running_var"].view(-1, 1, 1)
        return (x - mean) / (var + 1e-5).sqrt() * own["weight"].view(-1, 1, 1) + own["bias"].view(-1, 1, 1)

    # each map is cut so that the next, strided one begins on a multiple of its step
    x = F.relu(norm(F.conv2d(images, net.down[0][0].weight), net.down[0][1]))  # begins at pixel 4 of the image
    x = F.relu(norm(F.conv2d(x[:, :, 3:, 3:], net.down[1][0].weight, stride=2), net.down[1][1]))  # at 8, every 2nd
    x = F.relu(norm(F.conv2d(x[:, :, 1:, 1:], net.down[2][0].weight, stride=2), net.down[2][1]))  # at 12, every 4th
    for block in net.blocks:
        y = F.relu(norm(F.conv2d(x, block.conv1.weight), block.norm1))
        x = x[:, :, 2:-2, 2:-2] + norm(F.conv2d(y, block.conv2.weight), block.norm2)  # two blocks: at 28
    for block in net.up:
        x = F.interpolate(x, scale_factor=2, mode=upsample)
        x = F.relu(norm(F.conv2d(x, block[0].weight), block[1]))  # at 30, then at 31
    x = torch.sigmoid(F.conv2d(x, net.tail.weight, net.tail.bias))  # at 35
    inner = x[:, :, 4:-4, 4:-4]  # bilinear enlarging meets the cut edge
    height, width = inner.shape[2:]
    assert height > 20
    torch.testing.assert_close(inner, net(images)[:, :, 39 : 39 + height, 39 : 39 + width], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
def test_reach_is_the_receptive_field(upsample: str) -> None:
    net = learnt_net(upsample=upsample)
    images = random_images(100, 100, count=1).double()
    net.double()
    changed = images.clone()
    changed[..., 47] = 1 - changed[..., 47]
    changed_columns = (net(images) - net(changed)).abs().amax((0, 1, 2)).nonzero().flatten()
    far = int((changed_columns - 47).abs().max())
    assert net.reach - 8 < far <= net.reach


def test_only_instance_norm_depends_on_far_pixels() -> None:
    images = random_images(160, 160, count=1)
    changed = images.clone()
    changed[..., :8] = 0
    for norm, apart in (("batch", True), ("instance", False)):
        net = learnt_net(norm=norm)
        assert torch.equal(net(images)[..., 80:], net(changed)[..., 80:]) == apart


def test_flat_images_stay_flat_up_to_the_border() -> None:
    """Zero padding would be visible as a frame; reflection is not."""
    for norm, upsample in KINDS:
        result = learnt_net(norm=norm, upsample=upsample)(torch.full((1, 3, 60, 61), 0.6))
        spread = result.amax((2, 3)) - result.amin((2, 3))
        assert spread.max() < 1e-3  # instance norm enlarges what rounding leaves


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_every_weight_learns_and_is_in_exactly_one_group(norm: str) -> None:
    net = small_net(norm=norm)
    assert isinstance(net, LayerGroups)
    net.train()(random_images(21, 34)).square().mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    groups = net.layer_groups()
    assert len(groups) == 3
    grouped = [id(p) for group in groups for module in group for p in module.parameters()]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_eval_is_deterministic_and_state_dict_restores_the_net(norm: str) -> None:
    net, images = learnt_net(norm=norm), random_images(18, 23)
    before, first = images.clone(), net(images)
    assert torch.equal(first, net(images))
    assert torch.equal(images, before)
    torch.testing.assert_close(net(images[:1]), first[:1], rtol=1e-4, atol=1e-5)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    again = StyleResnet(width=4, blocks=2, norm=norm).eval()
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again(images), first)


def test_channels_last_and_bf16_give_about_the_same() -> None:
    net, images = learnt_net(), random_images(18, 23)
    expected = net(images)
    net.to(memory_format=torch.channels_last)
    torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        result = net(images)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=0.05)


@pytest.mark.slow
def test_exports_with_free_height_and_width() -> None:
    net = learnt_net()
    dim = torch.export.Dim
    free = {0: dim("n", min=1, max=64), 2: 4 * dim("h", min=4, max=512), 3: 4 * dim("w", min=4, max=512)}
    exported = torch.export.export(net, (random_images(64, 80),), dynamic_shapes=(free,), strict=False).module()
    images = random_images(76, 128, count=3)
    torch.testing.assert_close(exported(images), net(images), rtol=1e-4, atol=1e-5)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="width and blocks must be at least 1, not 4 and 0"):
        small_net(blocks=0)
    with pytest.raises(ValueError, match="norm must be batch or instance, not 'layer'"):
        small_net(norm="layer")
    with pytest.raises(ValueError, match="upsample must be nearest or bilinear, not 'cubic'"):
        small_net(upsample="cubic")
    for shape in ((2, 1, 8, 8), (3, 8, 8), (1, 3, 0, 8)):
        with pytest.raises(ValueError, match=r"\(N, 3, H, W\), not"):
            small_net()(torch.rand(shape))


def inputs_of(net: nn.Module, kind: type[nn.Module], images: torch.Tensor) -> list[torch.Tensor]:
    """What all layers of a kind are given in one forward pass."""
    seen: list[torch.Tensor] = []
    for part in net.modules():
        if isinstance(part, kind):
            part.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    net(images)
    return seen


def test_the_lesson_has_relu_before_every_norm_and_no_activation_at_the_end() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 32, 32)
    ours = inputs_of(StyleResnet(width=4, blocks=1), nn.BatchNorm2d, images)
    assert all(given.min() < 0 for given in ours)
    net = StyleResnet(width=4, blocks=1, order="relu_norm", second_relu=True, tail="norm")
    *inner, last = inputs_of(net, nn.BatchNorm2d, images)
    assert len(inner) == len(ours) == 7
    assert all(given.min() == 0 for given in inner)
    assert last.min() < 0  # the last convolution has none
    out = net(images)  # batch norm at its start: every channel has mean 0 and deviation 1
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.std((0, 2, 3), correction=0), torch.ones(3), rtol=0, atol=1e-3)
    assert net.tail.bias is None


def test_without_the_second_relu_a_block_adds_both_signs() -> None:
    torch.manual_seed(0)
    net = StyleResnet(width=4, blocks=1, order="relu_norm")
    given = inputs_of(net, nn.BatchNorm2d, torch.rand(2, 3, 32, 32))
    assert [bool(one.min() < 0) for one in given] == [False, False, False, False, True, False, False]


def test_every_parameter_of_the_options_is_in_one_group() -> None:
    net = StyleResnet(width=4, blocks=1, order="relu_norm", second_relu=True, tail="norm")
    grouped = [p for group in net.layer_groups() for part in group for p in part.parameters()]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(net.parameters()))


@pytest.mark.parametrize(("option", "value"), [("order", "relu"), ("tail", "tanh"), ("norm", "layer")])
def test_unknown_options_are_refused(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be .* or .*, not '{value}'"):
        StyleResnet(**{option: value})  # type: ignore[arg-type]
