"""Inference from Python gives the same pixels as the files of ``predict``."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import experiments as darkroom
from callbacks.errors import CheckpointError
from callbacks.prediction.regions import cleaning_for
from datamodules.errors import DataError
from experiments.cli.main import main
from experiments.inference import predictor
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint, style_checkpoint
from tests.helpers.tiny_images import noise, save

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
ROOT = Path(__file__).parents[1]
CPU: dict[str, Any] = {"device": "cpu"}


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with checkpoints and images, which is the working directory."""
    folder = tmp_path_factory.mktemp("inference")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        segment_checkpoint(Path("car.ckpt"), threshold=0.4, flip=True)
        segment_checkpoint(Path("road.ckpt"), classes=("sky", "road", "tree"))
        sr_checkpoint(Path("sr.ckpt"))
        style_checkpoint(Path("style.ckpt"), norm="instance", tile=152)
        save(Path("images/wide.png"), noise(1, 45, 83))
        save(Path("images/large.jpg"), noise(2, 256, 320))  # decoded at a half for segmentation
        turned = Image.Exif()
        turned[0x0112] = 6
        Image.fromarray(noise(3, 50, 30)).save("images/turned.jpg", exif=turned, quality=95)
        Image.fromarray(np.dstack([noise(4, 40, 60), noise(5, 40, 60)[..., 0]])).save("images/clear.png")
        Image.fromarray(noise(6, 30, 40)).convert("L").save("images/gray.png")
        yield folder


def predict(checkpoint: str, *words: str) -> Path:
    task = {"car": "segment", "road": "segment"}.get(checkpoint, checkpoint)
    out = Path(f"{checkpoint}-out")
    fixed = ["--ckpt_path", f"{checkpoint}.ckpt", "--out", str(out), "--trainer.accelerator=cpu"]
    assert main(["--task", task, "predict", "images", *fixed, "--trainer.precision=32-true", *words]) == 0
    return out


def difference(ours: Any, theirs: Any) -> int:
    first, second = np.asarray(ours).astype(int), np.asarray(theirs).astype(int)
    assert first.shape == second.shape
    return int(abs(first - second).max())


@pytest.fixture(scope="module")
def files(place: Path) -> dict[str, Path]:
    """Folders of the results of ``predict``."""
    return {
        "car": predict("car", "--outputs=mask,probability"),
        "road": predict("road", "--outputs=mask"),
        "sr": predict("sr"),
        "style": predict("style"),
    }


NAMES = ["wide.png", "large.jpg", "turned.jpg", "clear.png", "gray.png"]


@pytest.mark.parametrize("name", NAMES)
def test_segmentation_of_one_class_is_that_of_predict(files: dict[str, Path], name: str) -> None:
    result = darkroom.load("car.ckpt", **CPU)(Path("images") / name)
    stem = Path(name).stem
    written = np.asarray(Image.open(files["car"] / f"mask/{stem}.png"))
    probs = np.asarray(Image.open(files["car"] / f"probability/{stem}.png"))
    assert result.probs.shape == (1, *written.shape)
    assert abs(result.probs[0] * 65535 - probs).max() <= 1
    assert (result.mask * 255 == written).mean() > 0.999
    assert set(np.unique(result.mask)) == {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_segmentation_of_several_classes_is_that_of_predict(files: dict[str, Path], name: str) -> None:
    result = darkroom.load("road.ckpt", **CPU)(f"images/{name}")
    written = np.asarray(Image.open(files["road"] / f"mask/{Path(name).stem}.png"))
    assert result.classes == ("sky", "road", "tree")
    assert (result.mask == written).mean() > 0.999
    assert (result.probs.argmax(0) == result.mask).mean() > 0.999
    assert len(np.unique(result.mask)) > 1
    np.testing.assert_allclose(result.probs.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["sr", "style"])
def test_images_are_those_of_predict(files: dict[str, Path], name: str, task: str) -> None:
    result = darkroom.load(f"{task}.ckpt", **CPU)(f"images/{name}")
    with Image.open(files[task] / f"result/{Path(name).stem}.png") as written:
        assert result.mode == written.mode
        assert difference(result, written) <= 1


def test_kinds_of_images_agree_for_segmentation() -> None:
    net = darkroom.load("car.ckpt", **CPU)
    image = noise(1, 45, 83)
    expected = net("images/wide.png")
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    results = [net(Image.fromarray(image)), net(image), *net(batch), *net([image, Path("images/wide.png")])]
    assert len(results) == 5
    for result in results:
        np.testing.assert_array_equal(result.probs, expected.probs)
        np.testing.assert_array_equal(result.mask, expected.mask)
        assert result.classes == ("car",)
    assert len(net(batch.repeat(3, 1, 1, 1))) == 3


@pytest.mark.parametrize(("task", "scale"), [("sr", 2), ("style", 1)])
def test_kinds_of_images_agree_and_stay_what_they_are(task: str, scale: int) -> None:
    net = darkroom.load(f"{task}.ckpt", **CPU)
    image = noise(1, 45, 83)
    assert net.scale == scale
    array = net(image)
    assert isinstance(array, np.ndarray)
    assert array.shape == (45 * scale, 83 * scale, 3)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(net(Image.fromarray(image))), array)
    np.testing.assert_array_equal(np.asarray(net("images/wide.png")), array)
    batch = torch.from_numpy(np.stack([image, image[::-1]])).permute(0, 3, 1, 2).float() / 255
    made = net(batch)
    assert made.dtype == torch.float32
    assert made.shape == (2, 3, 45 * scale, 83 * scale)
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    np.testing.assert_array_equal((made[0] * 255).round().byte().permute(1, 2, 0).numpy(), array)
    deep = net(image.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert difference(deep // 257, array) <= 1


def test_alpha_orientation_and_gray_are_kept_for_pillow_images() -> None:
    net = darkroom.load("sr.ckpt", **CPU)
    for name, mode, size in (
        ("clear.png", "RGBA", (120, 80)),
        ("gray.png", "L", (80, 60)),
        ("turned.jpg", "RGB", (100, 60)),
    ):
        with Image.open(f"images/{name}") as opened:
            result = net(opened)
        assert (result.mode, result.size) == (mode, size)
        np.testing.assert_array_equal(np.asarray(result), np.asarray(net(f"images/{name}")))


def test_16_bit_files_give_8_bits_as_pillow_has_no_more() -> None:
    colors = np.tile(np.linspace(0, 65535, 40).astype(np.uint16)[None, :, None], (24, 1, 3))
    cv2.imwrite("deep.png", colors)
    result = darkroom.load("sr.ckpt", **CPU)("deep.png")
    assert (result.mode, result.size) == ("RGB", (80, 48))
    assert difference(result, darkroom.load("sr.ckpt", **CPU)(colors) // 257) == 0


def test_threads_share_a_predictor() -> None:
    net = darkroom.load("style.ckpt", **CPU)  # instance norm in tiles keeps statistics in the module
    images = [noise(seed, 160, 230) for seed in range(8)]
    expected = net(images)
    with ThreadPoolExecutor(4) as pool:
        for ours, theirs in zip(pool.map(net, images), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_bf16_is_near_and_is_not_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "cpu_has_bf16", lambda: True)
    image = noise(1, 45, 83)
    full = darkroom.load("sr.ckpt", **CPU)(image)
    half = darkroom.load("sr.ckpt", precision="bf16-mixed", **CPU)(image)
    assert 0 < difference(full, half) <= 8


def test_bf16_that_is_slow_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "cpu_has_bf16", lambda: False)
    with pytest.warns(UserWarning, match="precision bf16-mixed is slow here: this CPU has no bfloat16 instructions"):
        darkroom.load("sr.ckpt", precision="bf16-mixed", **CPU)


def test_no_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Path("car.ckpt").resolve()
    monkeypatch.chdir(tmp_path)
    darkroom.load(checkpoint, **CPU)(noise(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("gone.png", "gone.png: cannot be read"),
        ("https://example.org/a.png", "is a URL"),
        (noise(1).astype(np.float32), "must be uint8.*float32"),
        (noise(1)[..., 0], r"\(H, W, 3\).*\(32, 48\)"),
        (torch.zeros(3, 8, 8), r"\(N, 3, H, W\).*\(3, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "torch.uint8: divide it by 255"),
        (torch.full((1, 3, 8, 8), 255.0), "255 to 255"),
        (torch.full((1, 3, 8, 8), float("nan")), "nan"),
        (7, "int is no image"),
        (Image.new("LAB", (8, 8)), "LAB"),
    ],
)
def test_bad_images_are_named(image: Any, message: str) -> None:
    net = darkroom.load("car.ckpt", **CPU)
    with pytest.raises(DataError, match=message):
        net(image)


def test_bad_checkpoints_and_options_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"there is no checkpoint gone.ckpt"):
        darkroom.load("gone.ckpt")
    torch.save({"state_dict": {}}, "other.ckpt")
    with pytest.raises(CheckpointError, match="is not a checkpoint of Darkroom"):
        darkroom.load("other.ckpt")
    foreign = torch.load("car.ckpt", weights_only=True)
    foreign["darkroom"]["model"]["net"]["class_path"] = "torch.nn.Transformer"
    torch.save(foreign, "foreign.ckpt")
    with pytest.raises(CheckpointError, match=r"torch.nn.Transformer, which is none of Darkroom's"):
        darkroom.load("foreign.ckpt")
    foreign["darkroom"]["model"]["net"] = {"class_path": "models.UNet", "init_args": {"encoder": "no_such_net"}}
    torch.save(foreign, "foreign.ckpt")
    with pytest.raises(CheckpointError, match=r"cannot be built.*no_such_net"):
        darkroom.load("foreign.ckpt")
    with pytest.raises(ValueError, match="precision '8-bit'"):
        darkroom.load("car.ckpt", precision="8-bit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device 'tpu9000'"):
        darkroom.load("car.ckpt", device="tpu9000")


def test_averaged_checkpoints_scales_and_regions_are_those_of_predict(capsys: pytest.CaptureFixture[str]) -> None:
    segment_checkpoint(Path("other.ckpt"), threshold=0.4, size=48)
    words = ["--outputs=mask,probability", "--largest=1", "--min_area=20", "--fill_holes", "--out", "averaged"]
    several = ["--ckpt_path", "car.ckpt", "other.ckpt", "--scales", "0.75", "1", "--trainer.accelerator=cpu"]
    assert main(["--task", "segment", "predict", "images", *words, *several, "--trainer.precision=32-true"]) == 0
    assert "averaged over 2 networks at the sizes 48 and 64 px" in capsys.readouterr().out
    averaged = darkroom.load(
        ["car.ckpt", "other.ckpt"], scales=(0.75, 1), largest=1, min_area=20, fill_holes=True, **CPU
    )
    result, single = averaged("images/wide.png"), darkroom.load("car.ckpt", **CPU)("images/wide.png")
    with Image.open("averaged/probability/wide.png") as image:
        assert difference(np.rint(result.probs[0] * 65535), np.asarray(image).astype(np.int64)) <= 1
    with Image.open("averaged/mask/wide.png") as image:
        np.testing.assert_array_equal(result.mask * 255, np.asarray(image))
    assert abs(result.probs - single.probs).max() > 0.01
    plain = darkroom.load(["car.ckpt", "other.ckpt"], scales=(0.75, 1), **CPU)("images/wide.png").mask
    cleaning = cleaning_for(("car",), largest=1, min_area=20, fill_holes=True)
    np.testing.assert_array_equal(result.mask, cleaning.apply(plain))


def test_networks_of_other_classes_are_not_averaged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "segment", "predict", "images", "--ckpt_path", "car.ckpt", "road.ckpt"]) == 2
    assert "road.ckpt finds sky, road, tree, and not car" in capsys.readouterr().err
    assert main(["--task", "sr", "predict", "images", "--ckpt_path", "sr.ckpt", "sr.ckpt"]) == 2
    assert "averaged by segment only" in capsys.readouterr().err
    with pytest.raises(ValueError, match="are for segment"):
        darkroom.load("sr.ckpt", largest=1)
