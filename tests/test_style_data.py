"""Data of style transfer: patches of images, and one style image of any kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from datamodules.images.style import StyleDataModule
from datamodules.images.style_images import read_style
from datamodules.loading.sampler import Key
from datamodules.stage import Stage
from models.style.style_resnet import StyleResnet
from tests.helpers.tiny_images import noise, pixels, save, save_images

STAGE = Stage(name="all", size=16, batch_size=2, epochs=1, lr=1e-3)
PLAIN = Stage(name="plain", size=16, batch_size=2, epochs=1, lr=1e-3, augment=False)


def module(folder: Path, **options: object) -> StyleDataModule:
    root = folder / "images"
    if not root.exists():
        save_images(root)
        save(folder / "painting.png", noise(77, 80, 120))
    options = {"style_image": folder / "painting.png", "style_size": 40} | options
    data = StyleDataModule(root=root, cache_dir=folder / "cache", num_workers=0, **options)  # type: ignore[arg-type]
    data.set_stage(STAGE)
    return data


def read(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(path))


def test_patches_have_the_stage_size_and_come_from_their_images(tmp_path: Path) -> None:
    data = module(tmp_path, crops=3)
    patches = data.train_set(PLAIN)
    assert len(patches) == 9 * 3  # type: ignore[arg-type]
    sample = patches[Key(0, 7)]
    assert sample.keys() == {"content", "style", "name"}
    assert sample["style"] == 0  # the only one
    assert sample["content"].shape == (3, 16, 16)
    assert sample["content"].dtype == torch.float32
    windows = np.lib.stride_tricks.sliding_window_view(read(tmp_path / "images" / sample["name"]), (16, 16, 3))
    assert any(np.array_equal(window, pixels(sample["content"])) for window in windows.reshape(-1, 16, 16, 3))
    batch = next(iter(data.train_dataloader()))
    assert batch["content"].shape == (2, 3, 16, 16)
    assert len(batch["name"]) == 2


def test_patches_follow_from_epoch_and_index_alone(tmp_path: Path) -> None:
    patches, again = (module(tmp_path, crops=2).train_set(STAGE) for _ in range(2))
    torch.testing.assert_close(patches[Key(3, 1)]["content"], again[Key(3, 1)]["content"], rtol=0, atol=0)
    assert not torch.equal(patches[Key(0, 1)]["content"], patches[Key(1, 1)]["content"])
    assert not torch.equal(patches[Key(0, 0)]["content"], patches[Key(0, 1)]["content"])  # another crop of the same


def test_images_are_flipped_horizontally_only(tmp_path: Path) -> None:
    save_images(tmp_path / "images", 2, 16, 16)  # a patch is the whole image
    data = module(tmp_path, val_share=0.5, style_image=save(tmp_path / "p.png", noise(1, 50, 50)))
    shown = read(tmp_path / "images" / data.load_splits().splits["train"][0].name)
    augmented, plain = data.train_set(STAGE), data.train_set(PLAIN)
    drawn = {pixels(augmented[Key(epoch, 0)]["content"]).tobytes() for epoch in range(20)}
    assert drawn == {shown.tobytes(), shown[:, ::-1].tobytes()}
    assert {pixels(plain[Key(epoch, 0)]["content"]).tobytes() for epoch in range(9)} == {shown.tobytes()}


@pytest.mark.parametrize("color", [0, 117, 255])
def test_patches_of_one_color_have_finite_gradients(tmp_path: Path, color: int) -> None:
    for number in range(4):
        save(tmp_path / f"images/{number}.png", np.full((40, 60 + number, 3), color, np.uint8))
    data = module(tmp_path, val_share=0.5, style_image=save(tmp_path / "p.png", noise(77, 80, 120)))
    first, again, held_out = data.train_set(STAGE)[Key(0, 0)], data.train_set(STAGE)[Key(0, 0)], data.val_set(STAGE)
    torch.testing.assert_close(first["content"], again["content"], rtol=0, atol=0)
    assert np.array_equal(pixels(first["content"]), np.full((16, 16, 3), color))
    assert 0 <= first["content"].min() < first["content"].max() <= 1
    assert len(held_out[Key(0, 0)]["content"].unique()) == 1
    torch.manual_seed(0)
    net = StyleResnet(width=8, blocks=5, norm="instance", border="layers")
    net(first["content"][None]).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)
    assert max(float(parameter.grad.abs().max()) for parameter in net.parameters() if parameter.grad is not None) < 10


def test_validation_and_test_use_the_center_crop(tmp_path: Path) -> None:
    data = module(tmp_path)
    for patches in (data.val_set(STAGE), data.test_set(STAGE)):
        sample = patches[Key(5, 0)]
        shown = read(tmp_path / "images" / sample["name"])
        np.testing.assert_array_equal(pixels(sample["content"]), shown[12:28, 22:38])


def test_style_image_keeps_its_size(tmp_path: Path) -> None:
    data = module(tmp_path)
    (style,) = data.styles()
    assert style.shape == (3, 40, 60)  # 80 x 120 with the shorter side 40
    assert style.dtype == torch.float32
    assert 0 <= style.min() < style.max() <= 1
    halves = noise(77, 80, 120).reshape(40, 2, 60, 2, 3).mean((1, 3)) / 255
    np.testing.assert_allclose(style.permute(1, 2, 0).numpy(), halves, atol=0.6 / 255)
    square = module(tmp_path, style_crop=True).styles()[0]
    torch.testing.assert_close(square, style[:, :, 20:], rtol=0, atol=0)  # the top right one, as in the lesson


def test_style_image_crop_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module(tmp_path).prepare([STAGE])
    assert f"style: {tmp_path / 'painting.png'}, 120 x 80 px, resized to 60 x 40" in capsys.readouterr().out
    gray = save(tmp_path / "gray.jpg", np.repeat(noise(3, 60, 60)[..., :1], 3, axis=2))
    data = module(tmp_path, style_image=gray)
    data.prepare([STAGE])
    assert "it is gray, so the results will be gray" in capsys.readouterr().out
    assert data.styles()[0].shape == (3, 40, 40)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "1", "I;16"])
def test_style_image_of_any_mode(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(noise(5, 60, 60))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    path = tmp_path / ("style.jpg" if mode == "CMYK" else "style.png")
    image.save(path)
    taken = read_style(path, size=40, crop=False)
    assert taken.pixels.shape == (40, 40, 3)
    assert taken.gray == (mode in ("L", "1", "I;16"))
    assert taken.pixels.std() > 10


def test_unusable_style_image_is_refused_before_the_images_are_checked(tmp_path: Path) -> None:
    module(tmp_path)
    save(tmp_path / "small.png", noise(1, 30, 50))
    (tmp_path / "torn.png").write_bytes((tmp_path / "painting.png").read_bytes()[:200])
    (tmp_path / "text.txt").write_text("no image")
    for name, reason in {
        "gone.png": r"gone\.png does not exist: name an image with --data\.style_image FILE",
        "small.png": r"small\.png: has 50 x 30 px, .* 40: name a larger image, or lower --data\.style_size to 30",
        "torn.png": r"the style image .*torn\.png: is damaged or cut short",
        "text.txt": r"text\.txt: is not an image that can be read",
    }.items():
        data = module(tmp_path, style_image=tmp_path / name)
        with pytest.raises(DataError, match=reason):
            data.prepare([STAGE])
        assert data._splits is None
    with pytest.raises(ValueError, match="style_size must be at least 32, not 31"):
        module(tmp_path, style_size=31)


def test_sample_data_is_prepared_without_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painting = save(tmp_path / "sample_painting" / "night.png", noise(1, 50, 50))
    asked: list[Path] = []
    monkeypatch.setattr(
        "datamodules.images.style_images.ensure_sample_painting", lambda folder: asked.append(folder) or painting
    )
    data = StyleDataModule(style_size=40, cache_dir=tmp_path, num_workers=0)
    data.setup("fit")
    assert asked == [tmp_path / "sample_painting"]
    assert data.styles()[0].shape == (3, 40, 40)
    assert len(data.val_set(STAGE)) == 3  # type: ignore[arg-type]


def test_calibration_images_are_spread_over_the_training_set(tmp_path: Path) -> None:
    data = module(tmp_path, crops=4)
    images = data.calibration_images(9)
    assert images.shape == (9, 3, 16, 16)
    torch.testing.assert_close(images, module(tmp_path, crops=4).calibration_images(9), rtol=0, atol=0)
    patches = data.train_set(PLAIN)
    torch.testing.assert_close(images[8], patches[Key(0, 32)]["content"], rtol=0, atol=0)
    assert {patches[Key(0, 4 * place)]["name"] for place in range(9)} == {
        image.name for image in data.load_splits().splits["train"]
    }
    assert len(data.calibration_images(100)) == 36


def test_validation_size_can_differ(tmp_path: Path) -> None:
    data = module(tmp_path, val_size=24)
    assert data.val_set(STAGE)[Key(0, 0)]["content"].shape == (3, 24, 24)
    assert data.test_set(STAGE)[Key(0, 0)]["content"].shape == (3, 24, 24)
    assert data.train_set(STAGE)[Key(0, 0)]["content"].shape == (3, 16, 16)
