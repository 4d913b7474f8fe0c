"""Loading weights of another network: tensors that fit are taken, and every tensor is listed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.super_resolution.sr_resnet import SrResnet
from models.weights.partial_load import PartialLoad, load_matching_
from models.weights.pretrained import WeightsError, read_state_dict

IMAGES = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(1))


def net(*, seed: int, max_scale: int = 2, **options: Any) -> SrResnet:
    torch.manual_seed(seed)
    made = SrResnet(width=4, blocks=1, max_scale=max_scale, **options)
    torch.nn.init.normal_(made.tail.weight)
    return made


@pytest.mark.parametrize("prefix", ["", "module.", "net.", "module.net.", "model._orig_mod."])
def test_2x_checkpoint_starts_a_4x_net(prefix: str) -> None:
    small, large = net(seed=0), net(seed=1, max_scale=4)
    fresh = {name: value.clone() for name, value in large.state_dict().items()}
    result = load_matching_(large, {prefix + name: value for name, value in small.state_dict().items()})
    assert result.kept == ("upsampling.1.conv.weight", "upsampling.1.conv.bias")
    assert result.loaded == tuple(name for name in large.state_dict() if name not in result.kept)
    assert result.unused == {}
    assert all(torch.equal(large.state_dict()[name], fresh[name]) for name in result.kept)
    large.active_scale = 2
    assert torch.equal(large(IMAGES), small(IMAGES))


def test_tensors_that_do_not_fit_are_skipped_with_a_reason() -> None:
    wide, narrow = net(seed=0, tail_norm=True), SrResnet(width=4, blocks=2, max_scale=2)
    weights = dict(wide.state_dict()) | {"tail.weight": torch.zeros(3, 8, 3, 3), "tail.bias": torch.zeros(3).int()}
    result = load_matching_(narrow, weights | {"module.head.bias": torch.zeros(4)})
    assert result.unused == {
        "norm.weight": "the net has no such tensor",
        "norm.bias": "the net has no such tensor",
        "norm.running_mean": "the net has no such tensor",
        "norm.running_var": "the net has no such tensor",
        "norm.num_batches_tracked": "the net has no such tensor",
        "tail.weight": "3 x 8 x 3 x 3 in the file, 3 x 4 x 3 x 3 in the net",
        "tail.bias": "torch.int32 in the file, torch.float32 in the net",
        "module.head.bias": "the file has head.bias twice",
    }
    assert {name.partition(".conv")[0] for name in result.kept} == {"blocks.1", "tail.weight", "tail.bias"}
    assert torch.equal(narrow.head.bias, wide.head.bias)


def test_account_names_every_tensor() -> None:
    result = PartialLoad(
        loaded=("head.weight",),
        unused={"old": "the net has no such tensor"},
        kept=("tail.weight", "count"),
        shapes={"head.weight": (4, 3, 3, 3), "tail.weight": (3, 4, 3, 3), "count": ()},
    )
    assert str(result) == (
        "loaded: 1 tensor\n"
        "  head.weight 4 x 3 x 3 x 3\n"
        "kept as initialized: 2 tensors\n"
        "  tail.weight 3 x 4 x 3 x 3\n"
        "  count one number\n"
        "not used from the file: 1 tensor\n"
        "  old: the net has no such tensor"
    )


def test_half_precision_weights_are_taken_as_float32() -> None:
    small, other = net(seed=0), net(seed=1)
    load_matching_(other, {name: value.half() for name, value in small.state_dict().items()})
    assert other.head.weight.dtype == torch.float32
    assert torch.equal(other.head.weight, small.head.weight.half().float())


def test_no_match_and_damaged_weights_are_errors_without_changes() -> None:
    target = net(seed=0)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(WeightsError, match=r"none of the 1 tensors fits SrResnet \(fc.weight: the net has no such"):
        load_matching_(target, {"fc.weight": torch.ones(2)})
    damaged = dict(net(seed=1).state_dict())
    damaged["tail.bias"] = torch.tensor([0.0, float("nan"), 0.0])
    with pytest.raises(WeightsError, match=r"'tail\.bias' contains NaN or infinity"):
        load_matching_(target, damaged)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_checkpoints_of_other_libraries_are_read(tmp_path: Path) -> None:
    """BasicSR stores its state dict under "params", and the averaged one, if there is one, under "params_ema"."""
    plain, averaged = dict(net(seed=0).state_dict()), dict(net(seed=1).state_dict())
    path = tmp_path / "edsr.pth"
    for stored, expected in (
        ({"params": plain}, plain),
        ({"params": plain, "params_ema": averaged}, averaged),
        ({"state_dict": {"net." + name: value for name, value in plain.items()}}, plain),
    ):
        torch.save(stored, path)
        target = net(seed=2)
        assert load_matching_(target, read_state_dict(path)).kept == ()
        assert all(torch.equal(value, expected[name]) for name, value in target.state_dict().items())
