import logging
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from models.segmentation.encoder import Encoder
from models.weights import pretrained
from models.weights.pretrained import WeightsError

NAME = "mobilenet_v3_small"
FILE = "mobilenet_v3_small-047dcff4.pth"  # of torchvision's DEFAULT weights, as torch hub caches it


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return dict(torchvision.models.get_model(NAME, weights=None).state_dict())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    monkeypatch.setattr(torch.hub, "urlopen", fail)


def load(path: Path | str, name: str = NAME) -> Encoder:
    return Encoder(name=name, pretrained=str(path))


def saved(tmp_path: Path, content: Any) -> Path:
    torch.save(content, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def assert_has(encoder: Encoder, weights: dict[str, Tensor]) -> None:
    """Compares all encoder tensors in order, regardless of names."""
    ours = [v for k, v in encoder.state_dict().items() if k.startswith("stages.")]
    theirs = [v for k, v in weights.items() if k.startswith("features.")]
    assert len(ours) == len(theirs) > 100
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


FORMS = {
    "plain": lambda w: w,
    "state_dict": lambda w: {"state_dict": w, "epoch": 3},
    "module": lambda w: {f"module.{k}": v for k, v in w.items()},
    "no head": lambda w: {k: v for k, v in w.items() if k.startswith("features.")},
    "trunk alone": lambda w: {k[len("features.") :]: v for k, v in w.items() if k.startswith("features.")},
    "head of 7 classes": lambda w: (
        w | {"classifier.3.weight": torch.zeros(7, 1024), "classifier.3.bias": torch.zeros(7)}
    ),
    "no counters": lambda w: {k: v for k, v in w.items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("form", FORMS)
def test_file_forms(form: str, weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.manual_seed(1)
    encoder = load(saved(tmp_path, FORMS[form](weights)))
    assert_has(encoder, weights)
    assert encoder.weights_origin.startswith("file w.pth, sha256 ")


def test_old_file_format_of_the_hub(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_has(load(tmp_path / "old.pth"), weights)


def test_resnet_file_without_prefix(tmp_path: Path) -> None:
    torch.manual_seed(7)
    weights = torchvision.models.resnet18(weights=None).state_dict()
    encoder = load(saved(tmp_path, {k: v for k, v in weights.items() if not k.startswith("fc.")}), "resnet18")
    assert torch.equal(encoder.stages[0][0].weight, weights["conv1.weight"])
    assert torch.equal(encoder.stages[4][1].bn2.weight, weights["layer4.1.bn2.weight"])


def test_half_precision_is_read(weights: dict[str, Tensor], tmp_path: Path) -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    weight = next(p for k, p in load(saved(tmp_path, halves)).named_parameters() if k.startswith("stages."))
    assert weight.dtype == torch.float32
    assert torch.equal(weight, weights["features.0.0.weight"].half().float())


def another_net(_weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(torchvision.models.squeezenet1_1(weights=None).state_dict())


BIAS = "features.0.1.bias"  # 16 numbers
WRONG = {
    "missing": (lambda w: {k: v for k, v in w.items() if k != BIAS}, f"it has no tensor '{BIAS}'"),
    "shape": (lambda w: w | {BIAS: torch.zeros(5)}, rf"'{BIAS}' is float32 \(5,\) and should be float32 \(16,\)"),
    "unexpected": (lambda w: w | {"features.40.bias": torch.zeros(5)}, "which has no tensor 'features.40.bias'"),
    "whole numbers": (lambda w: w | {BIAS: torch.zeros(16, dtype=torch.int8)}, f"'{BIAS}' is int8"),
    "nan": (lambda w: w | {BIAS: torch.full((16,), torch.nan)}, f"damaged: '{BIAS}'"),
    "not a dict": (lambda w: [1, 2], "holds no state dict"),
    "empty": (lambda w: {}, "holds no state dict"),
    "no tensors": (lambda w: {"epoch": 3}, "'epoch' is a int, not a tensor"),
    "another net": (another_net, f"does not fit {NAME}: it has no tensor 'features.0.0.weight'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_file_is_refused_naming_the_first_tensor(case: str, weights: dict[str, Tensor], tmp_path: Path) -> None:
    change, message = WRONG[case]
    with pytest.raises(WeightsError, match=message) as error:
        load(saved(tmp_path, change(weights)))
    assert "w.pth" in str(error.value)
    assert "\n" not in str(error.value)


class Code:
    def __reduce__(self) -> Any:
        return print, ("code from a weights file ran",)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WeightsError, match=r"w.pth cannot be read as weights"):
        load(saved(tmp_path, {"weight": Code()}))
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"\x80\x02 not weights", b"PK\x03\x04 torn"])
def test_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"w.pth cannot be read as weights"):
        load(tmp_path / "w.pth")


def test_url_and_unknown_word_are_refused() -> None:
    with pytest.raises(WeightsError, match="is a URL; download the file yourself"):
        load("https://example.org/w.pth")
    with pytest.raises(WeightsError, match='pretrained: imagnet is neither a file nor "auto", "imagenet" or "none"'):
        load("imagnet")


@pytest.mark.usefixtures("no_network")
def test_imagenet_is_taken_from_the_hubs_cache(weights: dict[str, Tensor], hub: Path) -> None:
    hub.mkdir(parents=True)
    torch.save(weights, hub / FILE)
    for word in ("imagenet", "auto"):
        encoder = load(word)
        assert_has(encoder, weights)
        assert encoder.weights_origin == f"ImageNet, {FILE}"


@pytest.mark.usefixtures("no_network")
def test_imagenet_error_names_the_three_sources(hub: Path) -> None:
    with pytest.raises(WeightsError) as error:
        load("imagenet")
    message = str(error.value)
    assert "no network here" in message
    assert "pretrained: PATH" in message
    assert f"put {FILE} into {hub}" in message
    assert f"reach https://download.pytorch.org/models/{FILE}" in message
    assert not hub.exists()


@pytest.mark.usefixtures("no_network", "hub")
def test_auto_continues_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="darkroom"):
        encoder = load("auto")
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("TRAINING STARTS FROM RANDOM WEIGHTS")
    assert FILE in caplog.messages[0]
    assert "\n" not in caplog.messages[0]
    assert encoder.weights_origin == f"random weights (pretrained: auto found none for {NAME})"


@pytest.mark.usefixtures("no_network")
def test_user_without_a_home_folder_is_told_of_torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "~/.cache/torch/hub")  # as torch returns it then
    with pytest.raises(WeightsError, match=r"there is no home folder\): set the environment variable TORCH_HOME"):
        pretrained.imagenet_file(NAME)
    assert list(tmp_path.iterdir()) == []


def test_home_folder_that_cannot_be_written_to(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(hub))

    monkeypatch.setattr(pretrained, "_check_answer", lambda _: None)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WeightsError, match=r"checkpoints cannot be written to\): set .* TORCH_HOME"):
        pretrained.imagenet_file(NAME)


def test_auto_does_not_hide_a_damaged_file_in_the_cache(hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / FILE).write_bytes(b"")
    with pytest.raises(WeightsError, match=FILE):
        load("auto")


def test_download_times_out(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def silent(*_args: object, **_kwargs: object) -> None:
        answered.wait(20)
        raise urllib.error.URLError("too late")

    monkeypatch.setattr(urllib.request, "urlopen", silent)
    monkeypatch.setattr(pretrained, "ANSWER_SECONDS", 0.2)
    with pytest.raises(WeightsError, match=r"no answer within 0.2 s"):
        load("imagenet")
    assert not answered.is_set()  # the error came while the request was still waiting
    answered.set()


def test_download_is_checked_and_kept(
    weights: dict[str, Tensor], hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file:// URL, which uses the same code as https; a wrong checksum leaves no file."""
    torch.save(weights, tmp_path / "served")
    digest = pretrained._digest(tmp_path / "served")
    good, bad = tmp_path / f"net-{digest}.pth", tmp_path / "net-00000000.pth"
    (tmp_path / "served").rename(good)
    bad.write_bytes(good.read_bytes())

    class Served:
        url = bad.as_uri()

    monkeypatch.setattr(pretrained, "_default_weights", lambda _name: Served)
    with pytest.raises(WeightsError, match="invalid hash value"):
        load("imagenet")
    assert list(hub.iterdir()) == []
    Served.url = good.as_uri()
    assert_has(load("imagenet"), weights)
    assert [p.name for p in hub.iterdir()] == [good.name]
