"""``segment --init_from``: networks with other classes or channels, and state dicts of other libraries."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import Tensor, nn

from experiments.cli.main import main
from models.segmentation.initial_weights import load_initial_
from models.segmentation.simple_decoder import SimpleSegmenter
from models.segmentation.unet import UNet
from models.segmentation.unet34 import UNet34
from models.weights.partial_load import PartialLoad
from models.weights.pretrained import WeightsError
from tests.helpers import tiny_images
from tests.helpers.checkpoints import segment_checkpoint
from tests.helpers.tiny_run import QUIET

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
NET = ["--model.net=UNet", "--model.net.encoder=resnet18", "--model.net.widths=[16,8]", "--model.net.image_width=4"]
STAGE = "--stages=[{name: a, size: 32, batch_size: 2, epochs: 1, lr: 0.000000000001}]"


def unet(*, seed: int, classes: int = 1, encoder: str = "resnet18", in_channels: int = 3) -> UNet:
    torch.manual_seed(seed)
    return UNet(
        encoder=encoder, classes=classes, in_channels=in_channels, pretrained="none", widths=(16, 8), image_width=4
    ).eval()


def load(
    net: nn.Module, weights: Mapping[str, Tensor], *names: str, given: tuple[str, ...] | None = None
) -> PartialLoad:
    return load_initial_(net, weights, classes=names or ("car",), given_classes=given)


@pytest.mark.parametrize("prefix", ["", "module.", "model.encoder."])
@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2", "vgg11_bn"])
def test_state_dict_of_torchvision_fills_the_encoder(encoder: str, prefix: str) -> None:
    torch.manual_seed(0)
    classifier = torchvision.models.get_model(encoder, weights=None).eval()
    net = unet(seed=1, encoder=encoder)
    report = load(net, {prefix + name: value for name, value in classifier.state_dict().items()})
    kept = [name for name in report.kept if name.startswith("encoder.") and "normalize" not in name]
    assert kept == []
    head = "fc." if encoder == "resnet18" else "classifier."
    assert {name.removeprefix(prefix)[: len(head)] for name in report.unused} == {head}
    layer = {"resnet18": "layer4", "mobilenet_v2": "features", "vgg11_bn": "features"}[encoder]
    seen: list[Tensor] = []
    classifier.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    classifier((IMAGES - MEAN) / STD)
    ours = net.encoder(IMAGES)[-1]
    theirs = nn.functional.max_pool2d(ours, 2) if encoder == "vgg11_bn" else ours  # VGG's last pool is its head's
    torch.testing.assert_close(theirs, seen[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2"])
def test_unet_of_segmentation_models_pytorch_fills_the_encoder(encoder: str) -> None:
    torch.manual_seed(0)
    theirs = smp.Unet(encoder, encoder_weights=None).eval()
    net = unet(seed=1, encoder=encoder)
    report = load(net, {"module." + name: value for name, value in theirs.state_dict().items()})
    assert not any(name.startswith("encoder.stages") for name in report.kept)
    assert any(name.startswith("module.segmentation_head") for name in report.unused)
    features = theirs.encoder((IMAGES - MEAN) / STD)
    torch.testing.assert_close(net.encoder(IMAGES)[-1], features[-1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [UNet, UNet34, SimpleSegmenter])
def test_classes_of_the_same_name_keep_their_logits(kind: type[UNet] | type[UNet34] | type[SimpleSegmenter]) -> None:
    torch.manual_seed(0)
    small = kind(classes=2, pretrained="none").eval()
    large = kind(classes=4, pretrained="none").eval()
    before = large(IMAGES)
    report = load(large, small.state_dict(), "sky", "car", "road", "tree", given=("tree", "car"))
    assert report.kept == ()
    assert report.remarks["head.weight"] == "rows of car, tree; new: sky, road"
    old, new = small(IMAGES), large(IMAGES)
    torch.testing.assert_close(new[:, 1], old[:, 1])
    torch.testing.assert_close(new[:, 3], old[:, 0])
    assert not torch.equal(new[:, 0], before[:, 0])


def test_order_of_classes_is_kept_by_name_and_renamed_classes_by_position() -> None:
    saved, net = unet(seed=0, classes=3), unet(seed=1, classes=3)
    expected = saved(IMAGES)
    load(net, saved.state_dict(), "c", "a", "b", given=("a", "b", "c"))
    torch.testing.assert_close(net(IMAGES), expected[:, [2, 0, 1]])
    report = load(net, saved.state_dict(), "x", "y", "z", given=("a", "b", "c"))
    torch.testing.assert_close(net(IMAGES), expected)
    assert report.remarks == {}


def test_rgb_network_starts_one_of_five_channels() -> None:
    rgb, five = unet(seed=0), unet(seed=1, in_channels=5)
    report = load(five, rgb.state_dict(), given=("car",))
    first = ["encoder.stages.0.0.weight", "image.0.weight"]
    assert report.remarks == dict.fromkeys(first, "from 3 channels to 5")
    assert report.kept == ("encoder.normalize.mean", "encoder.normalize.std")
    for name in first:
        old, new = rgb.state_dict()[name], five.state_dict()[name]
        torch.testing.assert_close(new.sum(1), old.sum(1))  # of an image whose channels are equal
        torch.testing.assert_close(new[:, :3] * 5, old * 3)


def test_nothing_that_fits_is_an_error() -> None:
    weights = torchvision.models.mobilenet_v2(weights=None).state_dict()
    with pytest.raises(WeightsError, match=r"^none of the 314 tensors fits UNet \(features.0.0.weight: the net has no"):
        load(unet(seed=0, encoder="resnet18"), weights)


def run(folder: Path, *words: str) -> int:
    data = ["--data=FolderDataModule", f"--data.root={folder / 'data'}", "--data.num_workers=0"]
    return main(["--task=segment", *data, *NET, STAGE, "--trainer.accelerator=cpu", *QUIET, *words])


@pytest.fixture
def streets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of two classes."""
    monkeypatch.chdir(tmp_path)
    tiny_images.folders(tmp_path / "data")
    return tmp_path


def test_network_of_one_class_starts_one_of_several(streets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = segment_checkpoint(streets / "cars.ckpt", encoder="resnet18")
    assert run(streets, "--data.classes=[road,car]", f"--init_from={start}", "--name=two") == 0
    out = capsys.readouterr().out
    assert "weights from cars.ckpt:\nloaded: " in out
    assert "  head.weight 8 x 8 x 3 x 3 (rows of car; new: road)\n" in out
    before = torch.load(start, weights_only=True)["state_dict"]
    after = torch.load("runs/segment/two/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name in ("net.head.weight", "net.head.bias"):
        torch.testing.assert_close(after[name][4:], before[name], rtol=0, atol=1e-6)
    for name, value in before.items():
        if "head" not in name and "running" not in name and "tracked" not in name:
            torch.testing.assert_close(after[name], value, rtol=0, atol=1e-6)


def test_files_that_do_not_fit_or_run_code_are_refused(streets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, "other.pth")
    torch.save({"head": print}, "code.pth")
    damaged = segment_checkpoint(streets / "damaged.ckpt").read_bytes()
    middle = len(damaged) // 2
    Path("damaged.ckpt").write_bytes(damaged[:middle] + bytes([damaged[middle] ^ 1]) + damaged[middle + 1 :])
    for name, message in (
        ("other.pth", "--init_from other.pth: none of the 1 tensors fits UNet (fc.weight: the net has no such tensor)"),
        ("code.pth", "code.pth cannot be read as weights: it holds other objects than tensors"),
        ("damaged.ckpt", "damaged.ckpt is damaged (check sum of"),
        ("nowhere.ckpt", "there is no checkpoint nowhere.ckpt"),
    ):
        assert run(streets, "--data.classes=[car]", f"--init_from={name}") == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line]
        assert len(lines) == 1
        assert message in lines[0]
