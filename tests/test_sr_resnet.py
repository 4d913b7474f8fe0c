"""SrResnet: the contract of a network, and the effect of scales, skips and sizes."""

import io

import pytest
import torch
from PIL import Image
from torch import nn

from models.layer_groups import LayerGroups, freeze_, frozen_count, param_groups
from models.super_resolution.sr_resnet import SrResnet, doublings, enlarge


def small_net(**options: object) -> SrResnet:
    torch.manual_seed(0)
    return SrResnet(**({"width": 8, "blocks": 2} | options))  # type: ignore[arg-type]


def learnt_net(**options: object) -> SrResnet:
    """A net with a random last layer instead of zeros."""
    net = small_net(**options)
    nn.init.normal_(net.tail.weight, std=0.05)
    return net


def random_images(height: int, width: int, *, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 12)])
def test_enlarges_any_size_by_the_active_scale(scale: int, size: tuple[int, int]) -> None:
    net = learnt_net(max_scale=8).eval()
    net.active_scale = scale
    result = net(random_images(*size))
    assert result.shape == (2, 3, scale * size[0], scale * size[1])
    assert result.dtype == torch.float32
    assert result.isfinite().all()


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_untrained_net_is_bicubic_only_with_the_image_skip(scale: int) -> None:
    images = random_images(12, 15)
    net = small_net()
    net.active_scale = scale
    torch.testing.assert_close(net(images), enlarge(images, scale))
    other = small_net(image_skip=False)
    other.active_scale = scale
    assert (other(images) - enlarge(images, scale)).abs().mean() > 0.01


@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_agrees_with_pillow(scale: int) -> None:
    """Pillow's kernel has a = -0.5 as MATLAB's; on single-channel float images it does not round."""
    plane = random_images(13, 10, count=1)[0, 0]
    theirs = Image.fromarray(plane.numpy(), mode=None).resize((10 * scale, 13 * scale), Image.Resampling.BICUBIC)
    expected = torch.frombuffer(bytearray(theirs.tobytes()), dtype=torch.float32).view(13 * scale, 10 * scale)
    torch.testing.assert_close(enlarge(plane.expand(1, 3, 13, 10), scale)[0, 1], expected, rtol=0, atol=1e-6)


def test_published_sizes_and_the_lesson_form() -> None:
    """1.37 million (EDSR-baseline) and 40.7 million (EDSR) parameters at 2x, as the authors' code prints them."""
    with torch.device("meta"):
        baseline = SrResnet(blocks=16, residual_scale=1.0, max_scale=2, image_skip=False)
        large = SrResnet(blocks=32, width=256, max_scale=2, image_skip=False)
        lesson = SrResnet(tail_norm=True, feature_skip=False, image_skip=False)
    counts = [sum(p.numel() for p in net.parameters()) for net in (baseline, large)]
    assert counts == [1_369_859, 40_729_603]
    kinds = [type(m).__name__ for m in lesson.modules() if isinstance(m, nn.BatchNorm2d | nn.Conv2d | nn.PixelShuffle)]
    convs = ["Conv2d"] * (1 + 8 * 2 + 1)
    assert kinds == [*convs, "Conv2d", "PixelShuffle", "Conv2d", "PixelShuffle", "BatchNorm2d", "Conv2d"]


def test_residual_blocks_are_scaled() -> None:
    """With ``after_blocks`` an identity and the feature skip off, zeroed second convolutions leave their bias."""
    net = small_net(blocks=1, residual_scale=0.1)
    block = net.blocks[0]
    nn.init.zeros_(block.conv2.weight)
    nn.init.ones_(block.conv2.bias)
    x = torch.rand(1, 8, 5, 5)
    torch.testing.assert_close(block(x), x + 0.1)


def test_feature_skip_goes_around_the_body() -> None:
    images = random_images(9, 9)
    with_skip, without = learnt_net(max_scale=1), learnt_net(max_scale=1, feature_skip=False)
    without.load_state_dict(with_skip.state_dict())
    difference = with_skip(images) - without(images)
    expected = nn.functional.conv2d(with_skip.head(images - 0.5), with_skip.tail.weight, padding=1)
    torch.testing.assert_close(difference, expected, rtol=1e-4, atol=1e-5)


def test_each_scale_trains_its_own_blocks_with_stable_names() -> None:
    """Unused blocks must not require gradients, because DDP waits for all parameters that do."""
    net = learnt_net()
    names = set(net.state_dict())
    assert isinstance(net, LayerGroups)
    for scale, blocks in ((1, 0), (4, 2), (2, 1)):
        net.active_scale = scale
        assert net.active_scale == scale
        assert set(net.state_dict()) == names
        groups = net.layer_groups()
        assert len(groups) == 3
        assert len(groups[1]) == blocks
        net.zero_grad()
        net(random_images(6, 6)).square().mean().backward()
        trained = {name for name, p in net.named_parameters() if p.grad is not None}
        assert trained == {name for name, p in net.named_parameters() if p.requires_grad}
        grouped = [id(p) for group in groups for m in group for p in m.parameters()]
        assert sorted(grouped) == sorted(id(p) for p in net.parameters() if p.requires_grad)


def test_only_the_upsampling_part_trains_when_one_group_is_frozen() -> None:
    net = small_net(tail_norm=True)
    freeze_(net.layer_groups(), frozen_count(3, 1))
    trained = {name.partition(".")[0] for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {"upsampling", "norm", "tail"}
    assert [group["name"] for group in param_groups(net.layer_groups(), lr=1.0, lr_scale=None)] == ["group1", "group2"]
    net.active_scale = 1
    freeze_(net.layer_groups(), frozen_count(3, "encoder"))
    assert {name.partition(".")[0] for name, p in net.named_parameters() if p.requires_grad} == {"norm", "tail"}


def test_second_scale_starts_from_the_tail_of_the_first() -> None:
    net = learnt_net()
    net.active_scale = 2
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.active_scale = 4
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.requires_grad for p in net.parameters())


def test_receptive_field_is_bounded_for_tiled_inference() -> None:
    """Radius in input pixels: one per convolution before the first shuffle, at most one more after it, two bicubic."""
    net = learnt_net(max_scale=2).eval()
    images = random_images(40, 40, count=1)
    changed = images.clone()
    changed[..., 0] = 0
    reach = (net(images) - net(changed)).abs().amax((0, 1, 2)).nonzero().max().item() // 2
    assert 4 <= reach <= (1 + 2 * 2 + 1 + 1) + 1


def test_state_dict_restores_the_net_and_images_are_not_modified() -> None:
    net, images = learnt_net(tail_norm=True).eval(), random_images(10, 11)
    before = images.clone()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    again = SrResnet(width=8, blocks=2, tail_norm=True).eval()
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again(images), net(images))
    assert torch.equal(images, before)


def test_bf16_autocast_keeps_the_image_skip_in_float32() -> None:
    """Only the correction is computed in bf16; the enlarged image it is added to is not."""
    net, images = small_net().eval(), random_images(10, 11)
    with torch.autocast("cpu", torch.bfloat16):
        result = net(images)
    assert result.dtype == torch.float32
    assert torch.equal(result, enlarge(images, 4))


def test_channels_last_gives_the_same() -> None:
    net, images = learnt_net().eval(), random_images(10, 11)
    expected = net(images)
    result = net.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_exports_with_free_height_and_width() -> None:
    net = learnt_net().eval()
    dim = torch.export.Dim
    free = {0: dim("n", min=1, max=64), 2: dim("h", min=4, max=512), 3: dim("w", min=4, max=512)}
    exported = torch.export.export(net, (random_images(12, 16),), dynamic_shapes=(free,), strict=False).module()
    images = random_images(9, 21, count=3)
    torch.testing.assert_close(exported(images), net(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [0, 3, 6, -2])
def test_scales_other_than_powers_of_two_are_refused(scale: int) -> None:
    with pytest.raises(ValueError, match=rf"1, 2, 4, 8, ..., not {scale}"):
        doublings(scale)
    with pytest.raises(ValueError, match=rf"not {scale}"):
        small_net(max_scale=scale)
    with pytest.raises(ValueError, match=rf"not {scale}"):
        small_net().active_scale = scale


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="scale 8 is more than the network's max_scale of 4"):
        small_net().active_scale = 8
    with pytest.raises(ValueError, match="width and blocks must be at least 1, not 8 and 0"):
        small_net(blocks=0)
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\), not \(2, 1, 8, 8\)"):
        small_net()(torch.rand(2, 1, 8, 8))


@pytest.mark.parametrize("upsample", ["nearest", "transposed"])
@pytest.mark.parametrize("size", [(1, 1), (7, 9)])
def test_other_upsampling_enlarges_any_size_and_trains(upsample: str, size: tuple[int, int]) -> None:
    net = learnt_net(max_scale=4, upsample=upsample)
    for scale in (1, 2, 4):
        net.active_scale = scale
        result = net(random_images(*size))
        assert result.shape == (2, 3, scale * size[0], scale * size[1])
    result.square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.upsampling.parameters())


def test_kinds_of_upsampling_are_checked() -> None:
    with pytest.raises(ValueError, match="upsample must be pixel_shuffle or nearest or transposed, not 'bilinear'"):
        small_net(upsample="bilinear")
    with pytest.raises(ValueError, match="blur is for upsample: pixel_shuffle, not nearest"):
        small_net(upsample="nearest", blur=True)
