"""Images of several channels with 16 bits: reading, checks, and a run that learns what only the fifth band shows."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.io.bands import BandLayout, to_rgb
from datamodules.io.image import read_image
from datamodules.io.resize import resize_bands, resize_image
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.band_light import relative_light
from datamodules.segmentation.warp import turn_pair
from experiments.cli.main import main
from tests.helpers.tiny_images import disc
from tests.helpers.tiny_run import QUIET, interrupt_at

SIZE = 32
NET = ["--model.net=UNet", "--model.net.encoder=resnet18", "--model.net.widths=[16,8]", "--model.net.image_width=4"]
NET += ["--model.net.pretrained=none", "--trainer.precision=32-true"]
STAGES = (
    "--stages=[{name: head, size: 32, batch_size: 4, epochs: 1, lr: 0.01},"
    " {name: all, size: 32, batch_size: 4, epochs: 14, lr: 0.01}]"
)


def image(seed: int) -> NDArray[np.uint16]:
    """Noise in four bands; the fifth is bright where the mask is, within a narrow range of 16-bit values."""
    draw = np.random.default_rng(seed)
    bands = draw.integers(0, 4000, (SIZE, 48, 5), dtype=np.uint16)
    bands[..., 4] = 1000 + 60 * disc(seed).astype(np.uint16) + draw.integers(0, 20, (SIZE, 48), dtype=np.uint16)
    return bands


def write(root: Path, *, count: int = 24, split: bool = False) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for seed in range(count):
        bands = image(seed)
        if split:
            for number in range(5):
                tifffile.imwrite(root / "images" / f"p{seed}_B{number}.tif", bands[..., number])
        else:
            tifffile.imwrite(root / "images" / f"p{seed}.tif", bands, photometric="minisblack", planarconfig="contig")
        Image.fromarray(disc(seed) * np.uint8(255)).save(root / "masks" / f"p{seed}.png")
    return root


def run(*words: str, root: Path | None = None) -> int:
    data = [] if root is None else ["--data=FolderDataModule", f"--data.root={root}", *NET, STAGES]
    return main(["--task=segment", *data, "--trainer.accelerator=cpu", "--data.num_workers=0", *QUIET, *words])


def test_layouts_of_tiff_are_read_alike(tmp_path: Path) -> None:
    expected = image(0)
    tifffile.imwrite(tmp_path / "contig.tif", expected, photometric="minisblack", planarconfig="contig")
    planes = np.moveaxis(expected, 2, 0)
    tifffile.imwrite(tmp_path / "separate.tif", planes, photometric="minisblack", planarconfig="separate")
    tifffile.imwrite(tmp_path / "pages.tif", planes, photometric="minisblack")
    tifffile.imwrite(tmp_path / "float.tif", (expected / 65535).astype(np.float32), planarconfig="contig")
    tifffile.imwrite(tmp_path / "deflate.tif", expected, planarconfig="contig", compression="zlib")
    for name in ("contig", "separate", "pages", "float", "deflate"):
        np.testing.assert_array_equal(BandLayout(5).read(tmp_path / f"{name}.tif"), expected, err_msg=name)


def test_one_file_for_each_band_in_the_order_of_the_names(tmp_path: Path) -> None:
    write(tmp_path, count=1, split=True)
    layout = BandLayout(2, ("B4", "B0"))
    np.testing.assert_array_equal(layout.read(tmp_path / "images/p0_B4.tif"), image(0)[..., [4, 0]])
    Image.fromarray(np.full((SIZE, 48), 255, np.uint8)).save(tmp_path / "images/p0_B0.tif")  # 8 bits
    assert (layout.read(tmp_path / "images/p0_B4.tif")[..., 1] == 65535).all()


def test_files_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, count=1, split=True)
    layout = BandLayout(2, ("B0", "B1"))
    first = tmp_path / "images/p0_B0.tif"
    with pytest.raises(DataError, match=r"p0_B0\.tif: has 1 channel, not 4 \(data\.channels\)"):
        BandLayout(4).read(first)
    tifffile.imwrite(tmp_path / "images/p0_B1.tif", np.zeros((8, 8), np.uint16))
    with pytest.raises(DataError, match=r"p0_B1\.tif: is 8 x 8, the first band is 48 x 32 pixels"):
        layout.read(first)
    (tmp_path / "images/p0_B1.tif").write_bytes(first.read_bytes()[:200])
    with pytest.raises(DataError, match=r"p0_B1\.tif: cannot be read as TIFF"):
        layout.read(first)
    (tmp_path / "images/p0_B1.tif").unlink()
    with pytest.raises(DataError, match=r"p0_B1\.tif: there is no such file"):
        layout.read(first)
    tifffile.imwrite(first, np.full((4, 4), -3, np.int16))
    with pytest.raises(DataError, match="holds values of int16 from -3 to -3"):
        BandLayout(1).read(first)


def test_resizing_agrees_with_that_of_8_bits_and_keeps_16() -> None:
    eight = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    for size in (16, 50, 90):
        deep = resize_bands(eight.astype(np.uint16) * np.uint16(257), size, size)
        difference = np.abs(deep / 257 - resize_image(eight, size).astype(np.float64))
        # Two roundings of 8 bits, the first of them amplified by the negative lobes of cubic interpolation.
        assert difference.max() <= 0.5 * 1.5 + 0.5
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8, 1).repeat(7, 2)
    np.testing.assert_array_equal(resize_bands(ramp, 8, 8), ramp)


def test_shown_channels_are_stretched() -> None:
    shown = to_rgb(image(0), (4, 4, 0))
    assert shown.dtype == np.uint8
    assert (shown[disc(0) > 0][:, 0] > 180).all()
    assert (shown[disc(0) == 0][:, 0] < 120).all()


@pytest.mark.parametrize(("degrees", "mirror"), [(0.0, True), (17.0, False), (-30.0, True)])
def test_bands_are_turned_as_the_colors_of_8_bits(degrees: float, *, mirror: bool) -> None:
    colors = np.random.default_rng(1).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    mask = disc(2)[:24, :40] * np.uint8(255)
    expected, turned = turn_pair(colors, mask, degrees=degrees, mirror=mirror, coverage=True)
    deep = np.concatenate([colors, colors[..., :2]], axis=2).astype(np.uint16) * np.uint16(257)
    bands, same = turn_pair(deep, mask, degrees=degrees, mirror=mirror, coverage=True)
    np.testing.assert_array_equal(same, turned)
    assert np.abs(bands[..., :3] / 257 - expected).max() <= 1  # OpenCV rounds the weights of 8 bits to 1/32
    np.testing.assert_array_equal(bands[..., 3:], bands[..., :2])


def test_light_of_bands_is_relative_to_each_channel() -> None:
    pixels = np.array([[100, 300], [40000, 60000]], np.uint16).T.reshape(2, 1, 2)  # means 200, 50000; std 100, 10000
    changed = relative_light(pixels, contrast=0.5, brightness=-0.25)
    np.testing.assert_array_equal(changed[:, 0], [[25, 32500], [325, 62500]])  # 200 -+ 150 - 25, 50000 -+ 15000 - 2500
    augment = Augment(rotate=0, flip=False, light=0.2, coverage=True)
    drawn = [augment(image(0), disc(0), seed=seed)[0][..., 4].astype(float) for seed in range(40)]
    narrow = image(0)[..., 4].astype(float)
    shifts = np.array([out.mean() - narrow.mean() for out in drawn]) / narrow.std()
    assert 0.1 < np.abs(shifts).max() <= 0.21  # up to 0.2 of a deviation, and rounding
    assert len(np.unique(shifts)) == 40


def test_mistakes_are_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path / "data", count=4)
    tifffile.imwrite(root / "images/p1.tif", image(1)[..., :4], photometric="minisblack", planarconfig="contig")
    for words, message in (
        (["--data.channels=5"], "model.net.in_channels is 3, but the data have 5 channels (data.channels)"),
        (
            ["--model.net.in_channels=4"],
            "model.net.in_channels is 4, but the data have 3 channels (read as RGB images)",
        ),
        (
            ["--data.channels=5", "--model.net.in_channels=5"],
            "images/p1.tif: file that cannot be read (has 4 channels, not 5 (data.channels))",
        ),
        (["--data.channels=2", "--data.show_channels=[0,1,2]"], "show_channels must be three numbers from 0 to 1"),
        (["--data.channels=2", "--data.bands=[a,b,c]"], "channels is 2, but bands names 3"),
    ):
        assert run(*words, root=root) == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.slow
def test_mask_of_the_fifth_band_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fit, resume, test, predict and show; the mask cannot be seen in the other bands, nor in 8 bits."""
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path / "data", split=True)
    words = [
        "--data.bands=[B0,B1,B2,B3,B4]",
        "--model.net.in_channels=5",
        "--data.show_channels=[4,0,1]",
        "--name=five",
    ]
    words += ["--trainer.check_val_every_n_epoch=5"]
    assert run("prepare", *words, root=root) == 0
    assert "  channels, mean (standard deviation): 0.03" in capsys.readouterr().out  # 2000 / 65535
    with monkeypatch.context() as patch:
        interrupt_at(7, patch)
        assert run(*words, root=root) == 75
    assert run("--resume=runs/segment/five") == 0
    saved = torch.load("runs/segment/five/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    deep = np.stack([image(seed)[..., 4] for seed in range(24)]) / 65535
    assert saved["net.encoder.normalize.mean"][0, 4, 0, 0].item() == pytest.approx(deep.mean(), rel=0.02)
    assert saved["net.encoder.normalize.std"][0, 4, 0, 0].item() == pytest.approx(deep.std(), rel=0.2)
    assert run("test", "--ckpt_path=runs/segment/five/checkpoints/last.ckpt") == 0
    assert json.loads(Path("runs/segment/five/test.json").read_text())["scores"]["test/dice"] > 0.8
    assert run("predict", str(root / "images"), "--ckpt_path=runs/segment/five/checkpoints/last.ckpt", "--out=out") == 0
    assert sorted(path.stem for path in Path("out/mask").iterdir()) == sorted(f"p{seed}" for seed in range(24))
    mask = read_image(Path("out/mask/p3.png"))[..., 0] > 0
    overlap = 2 * (mask & (disc(3) > 0)).sum() / (mask.sum() + disc(3).sum())
    assert overlap > 0.7
    assert read_image(Path("out/overlay/p3.jpg")).shape == (SIZE, 48, 3)
    assert run("show", "--ckpt_path=runs/segment/five/checkpoints/last.ckpt", "--out=shown") == 0
    assert Path("shown/worst.png").is_file()


@pytest.mark.slow
def test_crops_of_five_channels_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path / "data", count=8)
    words = ["--data.channels=5", "--model.net.in_channels=5", "--data.random_scale=[0.8,2.0]", "--name=crops"]
    crops = "--stages=[{name: crops, size: 32, crop: 32, batch_size: 4, epochs: 1, lr: 0.01}]"
    assert run(*words, crops, root=root) == 0
    checkpoint = "--ckpt_path=runs/segment/crops/checkpoints/last.ckpt"
    assert run("test", checkpoint) == 0
    assert run("predict", str(root / "images/p0.tif"), checkpoint, "--out=out") == 0
    assert read_image(Path("out/mask/p0.png")).shape == (SIZE, 48, 3)
