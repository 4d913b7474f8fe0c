"""``data.bits``: 16-bit files that use fewer bits are scaled by them, alike for a whole set, and kept for predict."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from callbacks.checkpoints.reading import read_checkpoint
from datamodules.errors import DataError
from datamodules.images.patch_datamodule import PatchDataModule
from datamodules.images.style import StyleDataModule
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.io.image import read_image
from datamodules.io.native_depth import read_native_depth
from datamodules.loading.sampler import Key
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from experiments.cli.main import main
from experiments.inference.loading import load
from tests.helpers.checkpoints import sr_checkpoint
from tests.helpers.tiny_run import QUIET, TinyRuns

STORED = np.array([[0, 100, 1000], [2048, 4000, 4095]], np.uint16)
#: STORED * 255 / 4095, rounded: 100 gives 6.23, 1000 gives 62.27, 2048 gives 127.53, 4000 gives 249.08.
AS_12_BITS = [[0, 6, 62], [128, 249, 255]]
#: STORED * 65535 / 4095, rounded: 65535 / 4095 is 16.0037, so 4000 gives 64014.65.
AS_12_BITS_DEEP = [[0, 1600, 16004], [32776, 64015, 65535]]


def save_deep(path: Path, values: NDArray[np.uint16]) -> Path:
    """Writes 16-bit gray, or RGB(A) given in this order, without Pillow, which has no 16-bit colors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = values if values.ndim == 2 else values[..., [2, 1, 0, 3][: values.shape[2]]]
    path.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(order))[1].tobytes())
    return path


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
def test_gray(tmp_path: Path, name: str) -> None:
    path = save_deep(tmp_path / name, STORED)
    assert read_image(path, bits=12)[..., 1].tolist() == AS_12_BITS
    assert read_image(path)[..., 1].tolist() == [[0, 0, 4], [8, 16, 16]]  # 4095 * 255 / 65535 = 15.93


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.ppm"])
def test_colors(tmp_path: Path, name: str) -> None:
    path = save_deep(tmp_path / name, np.dstack([STORED, STORED // 2, np.zeros_like(STORED)]))
    pixels = read_image(path, bits=12)
    assert pixels[..., 0].tolist() == AS_12_BITS
    assert pixels[1, 1].tolist() == [249, 125, 0]  # 2000 * 255 / 4095 = 124.54


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_results_keep_16_bits(tmp_path: Path, name: str) -> None:
    path = save_deep(tmp_path / name, np.dstack([STORED] * 3))
    deep = read_native_depth(path, bits=12)
    assert deep.dtype == np.uint16
    assert deep[..., 2].tolist() == AS_12_BITS_DEEP


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    alpha = np.array([[65535, 65535, 0], [65535, 65535, 65535]], np.uint16)
    path = save_deep(tmp_path / "x.png", np.dstack([STORED] * 3 + [alpha]))
    assert read_image(path, bits=12)[..., 0].tolist() == [[0, 6, 255], [128, 249, 255]]


def test_rotated_and_inverted_tiff(tmp_path: Path) -> None:
    Image.fromarray(STORED).save(tmp_path / "turned.tif", tiffinfo={274: 3})  # upside down
    assert read_image(tmp_path / "turned.tif", bits=12)[::-1, ::-1, 0].tolist() == AS_12_BITS
    Image.fromarray(STORED).save(tmp_path / "white_is_0.tif", tiffinfo={262: 0})
    assert (255 - read_image(tmp_path / "white_is_0.tif", bits=12)[..., 0]).tolist() == AS_12_BITS


def test_files_that_state_their_range_are_left_alone(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128, 255]], np.uint8)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", bits=12)[0, :, 0].tolist() == [0, 128, 255]
    (tmp_path / "x.pgm").write_bytes(b"P5 3 1 4095\n" + np.array([0, 1000, 4095], ">u2").tobytes())
    assert read_image(tmp_path / "x.pgm", bits=10)[0, :, 0].tolist() == [0, 62, 255]


def deep_set(root: Path, tops: tuple[int, ...] = (4000, 1000, 1000, 1000), masks: bool = False) -> Path:
    """Gray 16-bit images of 64 x 64 px, black beside one brightness; the first is the brightest of the set."""
    for number, top in enumerate(tops):
        values = np.zeros((64, 64), np.uint16)
        values[:, 32:] = top
        save_deep(root / f"images/p{number}.png", values)
        if masks:
            (root / "masks").mkdir(exist_ok=True)
            Image.fromarray((values > 0).astype(np.uint8) * 255).save(root / f"masks/p{number}.png")
    return root if masks else root / "images"


def brightest(data: Any, stage: Stage, field: str) -> set[int]:
    """The gray levels of the brightest pixel of each sample of both splits."""
    levels = set()
    for samples in (data.train_set(stage), data.val_set(stage)):
        for index in range(len(samples)):
            levels.add(round(255 * float(samples[Key(0, index)][field].max())))
    return levels


STAGE = Stage(name="s", size=32, batch_size=1, epochs=1, lr=1e-3, augment=False, scale=1)


@pytest.mark.parametrize(
    ("bits", "levels"),
    [("auto", {249, 62}), (12, {249, 62}), (14, {62, 16}), (16, {16, 4})],  # 1000 * 255 / 16383 = 15.56
)
def test_the_whole_set_has_one_scale(tmp_path: Path, bits: Any, levels: set[int]) -> None:
    root = deep_set(tmp_path / "d", masks=True)
    data = FolderDataModule(root=root, classes=["blob"], bits=bits, num_workers=0, cache_dir=tmp_path / "cache")
    data.setup("fit")
    assert brightest(data, STAGE, "image") == levels


@pytest.mark.parametrize(("kind", "field"), [(SuperResolutionDataModule, "high_res"), (StyleDataModule, "content")])
def test_patches(tmp_path: Path, kind: type[PatchDataModule], field: str) -> None:
    root = deep_set(tmp_path / "d")
    data = kind(root=root, bits="auto", val_share=0.25, num_workers=0, cache_dir=tmp_path / "cache")
    data.setup("fit")
    assert brightest(data, STAGE, field) == {249, 62}
    assert data.measured() == {"bits": 12}
    lines = [line for line in data.describe() if "bits" in line]
    assert lines == ["  bits: the 4 16-bit images hold values up to 4000 and are read as 12 bits: 4095 is white"]


def test_style_image_has_its_own_range(tmp_path: Path) -> None:
    root = deep_set(tmp_path / "d")
    style = save_deep(tmp_path / "style.png", np.full((64, 64), 1000, np.uint16))
    data = StyleDataModule(
        root=root, style_image=style, style_size=64, bits="auto", num_workers=0, cache_dir=tmp_path / "cache"
    )
    data.setup("fit")
    assert round(255 * float(data.styles()[0].max())) == 249  # 1000 * 255 / 1023 = 249.27


def test_benchmark(tmp_path: Path) -> None:
    root = deep_set(tmp_path / "d", tops=(4000, 1000))
    data = SuperResolutionDataModule(benchmark=root, bits="auto", num_workers=0, cache_dir=tmp_path / "cache")
    samples: Any = data.test_set(Stage(name="s", size=16, batch_size=1, epochs=1, lr=1e-3, scale=2))
    assert {round(255 * float(samples[Key(0, index)]["high_res"].max())) for index in (0, 1)} == {249, 62}


@pytest.mark.parametrize("kind", [FolderDataModule, SuperResolutionDataModule])
def test_values_beyond_the_given_bits_are_refused(tmp_path: Path, kind: Any) -> None:
    segments = kind is FolderDataModule
    root = deep_set(tmp_path / "d", masks=segments)
    options = {"classes": ["blob"]} if segments else {}
    data = kind(root=root, bits=10, num_workers=0, cache_dir=tmp_path / "cache", **options)
    with pytest.raises(DataError, match=r"p0.png: .*holds values up to 4000, and 10 bits end at 1023.*at least 12"):
        data.setup("fit")


@pytest.mark.parametrize("bits", [7, 17])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(ValueError, match=rf"bits must be 'auto' or from 8 to 16, not {bits}"):
        SuperResolutionDataModule(bits=bits)


def test_predict_uses_the_bits_of_the_fit(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    root = deep_set(tiny.place / "d", masks=True)
    data = ["--data", "datamodules.FolderDataModule", "--data.root", str(root), "--data.classes", "[blob]"]
    assert tiny.run(*data, "--data.bits", "auto", "--stages.all.batch_size", "2") == 0
    assert "are read as 12 bits: 4095 is white" in capsys.readouterr().out
    checkpoint = tiny.folder() / "checkpoints" / "best.ckpt"
    assert read_checkpoint(checkpoint)["darkroom"]["bits"] == 12
    # 1000 alone would be read as 10 bits; as 12 bits it is the gray level 62.
    deep, plain = root / "images" / "p1.png", tiny.place / "plain.png"
    Image.fromarray(np.repeat(np.array([[0, 62]], np.uint8), 32, axis=1).repeat(64, axis=0)).save(plain)
    common = ["--task", "segment", "predict", "--ckpt_path", str(checkpoint), "--outputs", "probability", *QUIET]
    assert main([*common, str(deep), str(plain), "--out", "o"]) == 0
    assert "16-bit images are read as 12 bits: 4095 is white" in capsys.readouterr().out
    probabilities = [np.asarray(Image.open(tiny.place / "o/probability" / name)) for name in ("p1.png", "plain.png")]
    assert (probabilities[0] == probabilities[1]).all()
    results = [load(checkpoint, device="cpu", trust_config=True)(path) for path in (deep, plain)]
    assert np.array_equal(results[0].mask, results[1].mask)
    capsys.readouterr()
    assert main(["--task", "segment", "test", "--ckpt_path", str(checkpoint), *QUIET]) == 0
    assert "16-bit images are read as 12 bits" in capsys.readouterr().out


def test_predict_measures_where_the_fit_had_no_16_bit_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = sr_checkpoint(tmp_path / "sr.ckpt")
    images = deep_set(tmp_path / "d", tops=(4000, 1000))
    common = ["--task", "sr", "predict", "--ckpt_path", str(checkpoint), str(images), *QUIET]
    for bits, out in (("auto", "a"), ("12", "b"), ("16", "c")):
        assert main([*common, "--data.bits", bits, "--out", out]) == 0
        assert ("read as 12 bits" in capsys.readouterr().out) == (bits != "16")
    read = {out: cv2.imread(str(tmp_path / out / "result/p0.png"), cv2.IMREAD_UNCHANGED) for out in "abc"}
    assert read["a"].dtype == np.uint16
    assert np.array_equal(read["a"], read["b"])
    assert np.median(read["a"]) > 2 * np.median(read["c"])
    assert main([*common, "--data.bits", "10", "--out", "e"]) == 1
    assert "holds values up to 4000, and 10 bits end at 1023" in capsys.readouterr().out
