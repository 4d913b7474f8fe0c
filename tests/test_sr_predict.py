"""``predict`` for super-resolution keeps alpha, bit depth, profile and EXIF."""

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from datamodules.images.degradation import downscale
from datamodules.io.native_depth import read_extras, read_native_depth
from experiments.cli.main import main
from tests.helpers.real_data import needs, real
from tests.helpers.tiny_images import enlarge, noise, save, save_images

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
TASK = ["--task", "sr"]
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a 2x run with a learning rate so small that the network is still bicubic."""
    folder = tmp_path_factory.mktemp("sr")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        save_images(folder / "images", 4)
        words = [
            "--data.root=images", "--data.cache_dir=cache", "--data.num_workers=0", "--data.crops=2",
            "--data.val_size=12",
            "--model.net.width=8", "--model.net.blocks=1", "--trainer.accelerator=cpu",
            "--trainer.enable_progress_bar=false",
            "--stages=[{name: 2x, scale: 2, size: 12, batch_size: 4, epochs: 1, lr: 1e-12}]",
        ]  # fmt: skip
        assert main([*TASK, *words]) == 0
        yield folder


def predict(*words: str) -> int:
    return main([*TASK, "predict", *words])


def result(out: str, name: str) -> Image.Image:
    image = Image.open(Path(out) / "result" / f"{name}.png")
    image.load()
    return image


def differences(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> int:
    return int(abs(ours.astype(int) - theirs.astype(int)).max())


def test_untrained_network_equals_bicubic(capsys: pytest.CaptureFixture[str]) -> None:
    image = noise(1, 31, 45)
    save(Path("mine/deep/odd.png"), image)
    assert predict("mine", "--out", "out") == 0
    made = np.asarray(result("out", "deep/odd"))
    assert made.shape == (62, 90, 3)
    assert differences(made, enlarge(image, 2)) <= 1
    told = capsys.readouterr().out
    assert "1 image in" in told
    assert "result/  PNG, 2 times as large" in told


def test_alpha_gray_profile_and_exif_are_kept() -> None:
    rgba = np.dstack([noise(2, 20, 30), np.tile(np.linspace(0, 255, 30).astype(np.uint8), (20, 1))])
    Path("kept").mkdir(exist_ok=True)
    Image.fromarray(rgba).save("kept/clear.png", icc_profile=ICC)
    Image.fromarray(noise(3, 20, 30)).convert("L").save("kept/gray.png")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    Image.fromarray(noise(4, 20, 30)).save("kept/turned.jpg", exif=exif, icc_profile=ICC, quality=95)
    Image.fromarray(noise(5, 20, 30)).convert("P").save("kept/palette.gif")
    assert predict("kept", "--out", "kept-out") == 0
    clear = result("kept-out", "clear")
    assert (clear.mode, clear.info["icc_profile"]) == ("RGBA", ICC)
    alpha = np.asarray(clear)[20, :, 3].astype(int)
    assert (alpha[0], alpha[-1]) == (0, 255)
    assert (np.diff(alpha) >= 0).all()
    assert differences(np.asarray(clear)[..., :3], enlarge(rgba[..., :3].copy(), 2)) <= 1  # nothing is laid on white
    assert result("kept-out", "gray").mode == "L"
    turned = result("kept-out", "turned")
    assert turned.size == (40, 60)
    assert turned.getexif()[0x010F] == "Camera"
    assert turned.getexif().get(0x0112, 1) == 1
    assert turned.info["icc_profile"] == ICC
    assert result("kept-out", "palette").mode == "RGB"


def test_16_bits_are_kept() -> None:
    fine = np.tile(np.linspace(1000, 60000, 40).astype(np.uint16), (24, 1))
    Path("deep").mkdir(exist_ok=True)
    Image.fromarray(fine).save("deep/gray.png")
    colors = np.dstack([fine, fine[::-1, ::-1], fine // 2])
    cv2.imwrite("deep/color.png", colors[..., ::-1])
    cv2.imwrite("deep/clear.png", np.dstack([colors[..., ::-1], fine]))
    assert predict("deep", "--out", "deep-out") == 0
    gray = np.asarray(result("deep-out", "gray"))
    assert gray.dtype == np.uint16
    assert gray.shape == (48, 80)
    assert len(np.unique(gray[20])) > 70  # 8 bits would leave fewer and coarser steps
    for name, channels in (("color", 3), ("clear", 4)):
        made = cv2.imread(f"deep-out/result/{name}.png", cv2.IMREAD_UNCHANGED)
        assert made.dtype == np.uint16
        assert made.shape == (48, 80, channels)
        np.testing.assert_allclose(made[20, 4:-4, 2], gray[20, 4:-4], atol=2)


def test_tiff_metadata_is_kept_except_storage_tags() -> None:
    ramp = np.tile(np.linspace(500, 65000, 40).astype(np.uint16), (24, 1))
    Path("tiff").mkdir(exist_ok=True)
    cv2.imwrite("tiff/color.tif", np.dstack([ramp // 2, ramp, ramp]))
    cv2.imwrite("tiff/clear.tif", np.dstack([ramp // 2, ramp, ramp, ramp]))
    cv2.imwrite("tiff/gray.tif", ramp)
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    Image.fromarray(noise(4, 20, 30)).save("tiff/camera.tif", exif=exif, icc_profile=ICC)
    assert predict("tiff", "--out", "tiff-out") == 0
    for name, shape in (("color", (48, 80, 3)), ("clear", (48, 80, 4)), ("gray", (48, 80))):
        made = cv2.imread(f"tiff-out/result/{name}.png", cv2.IMREAD_UNCHANGED)
        assert (made.dtype, made.shape) == (np.uint16, shape)
        assert not len(result("tiff-out", name).getexif())
    camera = result("tiff-out", "camera")
    assert camera.info["icc_profile"] == ICC
    assert set(camera.getexif()) - {0x8769} == {0x010F}  # no width and height of the small image


def test_profile_and_exif_of_16_bit_colors_are_kept() -> None:
    colors = np.tile(np.linspace(0, 65535, 20).astype(np.uint16)[None, :, None], (16, 1, 3))
    save(Path("profile/a.png"), noise(1, 16, 20))
    cv2.imwrite("profile/a.png", colors)
    data = Path("profile/a.png").read_bytes()
    other = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    Image.fromarray(noise(1, 4, 4)).save(other, "PNG", icc_profile=ICC, exif=exif)
    chunks = other.getvalue()[33 : other.getvalue().index(b"IDAT") - 4]  # iCCP and eXIf
    Path("profile/a.png").write_bytes(data[:33] + chunks + data[33:])
    assert predict("profile", "--out", "profile-out") == 0
    made = result("profile-out", "a")
    assert made.info["icc_profile"] == ICC
    assert made.getexif()[0x010F] == "Camera"
    assert cv2.imread("profile-out/result/a.png", cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_images_read_at_full_depth() -> None:
    save(Path("full/a.jpg"), noise(7, 10, 12))
    assert read_native_depth(Path("full/a.jpg")).dtype == np.uint8
    assert read_extras(Path("full/a.jpg")) == (False, None, None, None)
    Image.fromarray(noise(7, 10, 12)).convert("CMYK").save("full/print.jpg", icc_profile=ICC)
    assert read_extras(Path("full/print.jpg")).icc is None


def test_strips_show_input_result_and_target() -> None:
    high = noise(8, 60, 80)
    save(Path("truth/a.png"), high)
    save(Path("small/a.png"), downscale(high, 2, "bicubic"))
    save(Path("small/b.png"), downscale(high, 2, "bicubic"))
    assert predict("small", "--out", "strips", "--strip", "--target", "truth") == 0
    strip = np.asarray(Image.open("strips/strip/a.png"))
    assert strip.shape == (60, 3 * 60 + 2 * 8, 3)
    np.testing.assert_array_equal(strip[:, -60:], high[:, 10:70])
    assert differences(strip[:, :60], strip[:, 68:128]) <= 1  # the network still is bicubic
    assert np.asarray(Image.open("strips/strip/b.png")).shape == (60, 2 * 60 + 8, 3)


def test_tiled_inference_and_ensemble_of_an_untrained_net_are_bicubic() -> None:
    image = noise(9, 340, 400)
    save(Path("large/a.png"), image)
    assert predict("large", "--out", "large-out") == 0
    assert differences(np.asarray(result("large-out", "a")), enlarge(image, 2)) <= 1
    save(Path("plain/a.png"), noise(9, 40, 60))
    assert predict("plain", "--out", "ensemble", "--ensemble") == 0
    assert differences(np.asarray(result("ensemble", "a")), enlarge(noise(9, 40, 60), 2)) <= 1


def test_unreadable_files_are_listed_and_the_rest_is_processed(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("mixed/good.jpg"), noise(3))
    Path("mixed/empty.png").touch()
    Path("mixed/video.jpg").write_bytes(b"RIFF video")
    Path("clip.mp4").write_bytes(b"video")
    assert predict("mixed", "clip.mp4", "--out", "mixed-out") == 1
    assert [path.name for path in Path("mixed-out").rglob("*.png")] == ["good.png"]
    told = capsys.readouterr().out
    assert "2 images could not be read:" in told
    assert "clip.mp4: is not a video that can be read" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images", "--scale", "4"], "--scale 4: this network was trained for 2x"),
        (["images", "--scale", "3"], "--scale 3: this network was trained for 2x"),
        (["images", "--target", "images"], "add --strip"),
        (["images", "--strip", "--target", "gone"], "--target gone is not a folder"),
        (["images", "--outputs", "mask"], "unknown key 'outputs'"),  # segmentation's
        ([], "no image to work on"),
    ],
)
def test_mistakes_are_one_line_before_the_first_image(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert predict(*words, *(["--out", "never"] if words else [])) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("run.py: ")
    assert message in told
    assert not Path("never").exists()


@needs(real("set5"))
def test_real_image_is_enlarged() -> None:
    (image, *_) = sorted((real("set5") / "x2").glob("*_LR.png"))
    assert predict(str(image), "--out", "real") == 0
    with Image.open(image) as small, Image.open(f"real/result/{image.stem}.png") as large:
        assert large.size == (2 * small.size[0], 2 * small.size[1])
