"""One network for many styles: conditional instance norm, blends, and the border padded in every layer."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.errors import DataError
from datamodules.images.style import StyleDataModule
from datamodules.images.style_images import style_names
from datamodules.loading.sampler import Key
from datamodules.stage import Stage
from models.layer_groups import freeze_, frozen_count
from models.losses.gram import gram_matrix
from models.losses.style import StyleLoss
from models.style.conditional_norm import ConditionalInstanceNorm2d
from models.style.multi_style_resnet import MultiStyleResnet
from models.style.style_resnet import StyleResnet
from tests.helpers.tiny_images import noise, save, save_images

STYLES = ("starry", "wave", "brick")


def images(*size: int, seed: int = 1) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def learnt_net(**options: object) -> MultiStyleResnet:
    """A net whose styles differ."""
    torch.manual_seed(0)
    net = MultiStyleResnet(**({"styles": STYLES, "width": 4, "blocks": 1} | options))  # type: ignore[arg-type]
    for norm in net.norms():
        nn.init.normal_(norm.weight, mean=1, std=0.3)
        nn.init.normal_(norm.bias, std=0.3)
    return net.eval()


def test_every_image_is_normalized_with_the_scale_and_shift_of_its_style() -> None:
    norm = ConditionalInstanceNorm2d(5, 3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = images(4, 5, 6, 7)
    norm.style = torch.tensor([2, 0, 2, 1])
    found = norm(x)
    for index, style in enumerate((2, 0, 2, 1)):
        plain = F.instance_norm(x[index : index + 1], weight=norm.weight[style], bias=norm.bias[style])
        torch.testing.assert_close(found[index : index + 1], plain)


def test_gradients_reach_the_rows_of_the_styles_in_the_batch_alone() -> None:
    net = learnt_net().train()
    net(images(2, 3, 16, 16), torch.tensor([1, 1])).mean().backward()
    for norm in net.norms():
        assert norm.bias.grad is not None
        assert norm.bias.grad[[0, 2]].eq(0).all()
    assert net.norms()[-1].bias.grad[1].ne(0).any()  # type: ignore[index]


def test_a_style_takes_less_than_10_kb_in_float16() -> None:
    one, two = (sum(p.numel() for p in MultiStyleResnet(styles=STYLES[:n]).parameters()) for n in (1, 2))
    assert two - one == 2 * (32 + 64 + 128 + 10 * 128 + 64 + 32) == 3200  # two bytes each


@pytest.mark.parametrize("name", STYLES)
def test_fixed_network_equals_the_network_of_many_styles(name: str) -> None:
    net, x = learnt_net(), images(2, 3, 21, 34)
    fixed = net.fixed({name: 2.0})
    assert type(fixed) is StyleResnet
    torch.testing.assert_close(fixed(x), net(x, torch.full((2,), STYLES.index(name))))


def test_blend_averages_scales_and_shifts() -> None:
    net, x = learnt_net(), images(1, 3, 20, 20)
    rows = net.norms()[0].weight
    blend = net.fixed({"starry": 1.4, "wave": 0.6})
    mixed = blend.down[0][1].weight  # type: ignore[index,union-attr]
    torch.testing.assert_close(mixed, 0.7 * rows[0] + 0.3 * rows[1])
    ends = [net.fixed({name: 1})(x) for name in ("starry", "wave")]
    assert all((blend(x) - end).abs().max() > 1e-3 for end in ends)


@pytest.mark.parametrize(
    ("blend", "message"), [({"wavy": 1}, "unknown style 'wavy'"), ({"wave": 1, "brick": -1}, "sum above 0, not 0")]
)
def test_unusable_blends_are_refused(blend: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learnt_net().fixed(blend)


def test_frozen_body_leaves_scales_and_shifts() -> None:
    net = learnt_net()
    groups = net.layer_groups()
    assert sum(len(list(m.parameters())) for group in groups for m in group) == len(list(net.parameters()))
    freeze_(groups, frozen_count(len(groups), "body"))
    trained = {name.rpartition(".")[0] for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {n for n, m in net.named_modules() if isinstance(m, ConditionalInstanceNorm2d)}


@torch.no_grad()
def test_border_padded_by_layers_changes_only_what_is_near_the_border() -> None:
    """With batch norm, both kinds of border agree to 1e-5 beyond the receptive field of the border."""
    torch.manual_seed(0)
    whole = StyleResnet(width=4, blocks=2, norm="batch").eval()
    for module in whole.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.05, 0.2)  # type: ignore[arg-type]
    layers = StyleResnet(width=4, blocks=2, norm="batch", border="layers").eval()
    layers.load_state_dict(whole.state_dict())
    x, reach = images(1, 3, 120, 140), whole.reach
    difference = (whole(x) - layers(x)).abs().amax((0, 1))
    assert layers.reach == reach == 36
    assert difference[reach:-reach, reach:-reach].max() <= 1e-5
    assert difference.max() > 1e-3


def test_patches_of_128_px_pass_the_blocks_at_a_quarter_of_the_size() -> None:
    sizes = []
    for border in ("image", "layers"):
        net = StyleResnet(width=4, blocks=5, norm="instance", border=border)  # type: ignore[arg-type]
        net.blocks.register_forward_pre_hook(lambda _, given: sizes.append(tuple(given[0].shape[2:])))
        net(images(1, 3, 128, 128))
    assert sizes == [(52, 52), (32, 32)]  # (128 + 2 * 40) / 4 and 128 / 4


def test_gradient_of_gram_matrices_equals_that_of_autograd() -> None:
    features = images(2, 5, 4, 6).double().requires_grad_()
    weights = images(2, 5, 5, seed=3).double()
    (found,) = torch.autograd.grad((gram_matrix(features) * weights).sum(), features)
    plain = torch.einsum("nchw,ndhw->ncd", features, features) / (5 * 4 * 6)
    (expected,) = torch.autograd.grad((plain * weights).sum(), features)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.gradcheck(gram_matrix, features)


def ready(styles: int, seeds: list[int], **options: object) -> StyleLoss:
    loss = StyleLoss(
        **{"name": "vgg11", "layers": (1, 4), "layer_weights": (0.5, 0.5), "weights": "none", "styles": styles}
        | {"color_weight": 1.0, "tv_weight": 0.1}
        | options  # type: ignore[arg-type]
    )
    loss.set_styles([images(3, 24, 20, seed=seed) for seed in seeds])
    loss.calibrate(images(2, 3, 24, 24, seed=5))
    return loss


def test_loss_of_many_styles_equals_that_of_each_style_alone() -> None:
    many = ready(3, [10, 11, 12])
    preds, content, styles = images(3, 3, 24, 24), images(3, 3, 24, 24, seed=2), torch.tensor([2, 0, 2])
    found = many.parts_per_image(preds, content, styles)
    for index, style in enumerate(styles.tolist()):
        alone = ready(1, [10 + style])
        expected = alone.parts_per_image(preds[index : index + 1], content[index : index + 1])
        for name, part in expected.items():
            torch.testing.assert_close(found[name][index : index + 1], part, rtol=1e-4, atol=1e-6)


def test_one_pass_for_results_and_images_equals_two() -> None:
    loss = ready(2, [10, 11], luminance_weight=0.5)
    preds, content, styles = images(3, 3, 24, 24), images(3, 3, 24, 24, seed=2), torch.tensor([1, 0, 1])
    parts, untouched = loss.with_untouched(preds, content, styles)
    for name, part in loss.parts_per_image(preds, content, styles).items():
        torch.testing.assert_close(parts[name], part, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(untouched, loss.per_image(content, content, styles), rtol=1e-4, atol=1e-6)


def test_number_of_style_images_must_be_that_of_the_styles() -> None:
    with pytest.raises(ValueError, match="1 style images for a loss of 2 styles"):
        ready(2, [10])


STAGE = Stage(name="all", size=16, batch_size=2, epochs=1, lr=1e-3)


def data_of(folder: Path, **options: object) -> StyleDataModule:
    if not (folder / "images").exists():
        save_images(folder / "images")
        for seed, name in enumerate(("b.png", "a.png", "sub/c d.png")):
            save(folder / "paintings" / name, noise(70 + seed, 60, 50))
    options = {"style_image": folder / "paintings", "style_size": 40} | options
    data = StyleDataModule(
        root=folder / "images",
        cache_dir=folder / "cache",
        num_workers=0,
        **options,  # type: ignore[arg-type]
    )
    data.set_stage(STAGE)
    return data


def test_a_folder_of_paintings_gives_a_style_each(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    assert data.style_names == ("a", "b", "c_d")
    assert [tuple(style.shape) for style in data.styles()] == [(3, 48, 40)] * 3
    chosen = data_of(tmp_path, style_image=[tmp_path / "paintings/b.png", Path("brick")])
    assert chosen.style_names == ("b", "brick")
    assert [tuple(style.shape) for style in chosen.styles()] == [(3, 48, 40), (3, 40, 40)]


def test_every_patch_draws_a_style_by_epoch_and_index_alone(tmp_path: Path) -> None:
    patches, again = (data_of(tmp_path, crops=20).train_set(STAGE) for _ in range(2))
    drawn = [[patches[Key(epoch, index)]["style"] for index in range(60)] for epoch in (0, 1)]
    assert drawn == [[again[Key(epoch, index)]["style"] for index in range(60)] for epoch in (0, 1)]
    assert drawn[0] != drawn[1]
    assert set(drawn[0]) == {0, 1, 2}
    held_out = data_of(tmp_path).val_set(STAGE)
    assert [held_out[Key(0, index)]["style"] for index in range(len(held_out))] == [  # type: ignore[arg-type]
        index % 3
        for index in range(len(held_out))  # type: ignore[arg-type]
    ]


def test_lower_edge_is_cut_off(tmp_path: Path) -> None:
    pixels = noise(3, 100, 80)
    pixels[90:] = 0
    style = save(tmp_path / "marked.png", pixels)
    (kept,) = data_of(tmp_path, style_image=style, style_trim=0.1, style_size=80).styles()
    assert kept.shape == (3, 90, 80)
    assert kept[:, -5:].mean() > 0.3


def test_unusable_style_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"the folder of style images .*empty has no images"):
        data_of(tmp_path, style_image=tmp_path / "empty").styles()
    twice = [tmp_path / "paintings/a.png", save(tmp_path / "other/a.png", noise(1, 60, 60))]
    with pytest.raises(DataError, match=r"have one name, a: rename a file"):
        style_names(twice)
    with pytest.raises(DataError, match=r"there are 1 styles \(x\) and 3 style images"):
        data_of(tmp_path, style_names=["x"]).styles()
    with pytest.raises(ValueError, match="style_trim must be at least 0 and below 1"):
        data_of(tmp_path, style_trim=1.0)
