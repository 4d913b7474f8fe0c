"""Image folders for super-resolution: files, splits and patches."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from datamodules.cache.encodings import ProportionalEncoding
from datamodules.errors import DataError
from datamodules.images.corruptions import Noise
from datamodules.images.degradation import Degradation, downscale
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.index.splits import Split
from datamodules.io.image import read_image_and_header
from datamodules.io.image_file import Header
from datamodules.loading.sampler import Key
from datamodules.samples.images import ensure_sample_images
from datamodules.stage import Stage
from tests.helpers.tiny_images import noise, pixels, save, save_images

STAGE = Stage(name="2x", size=8, scale=2, batch_size=2, epochs=1, lr=1e-3)


def module(root: Path, **options: object) -> SuperResolutionDataModule:
    data = SuperResolutionDataModule(root=root, cache_dir=root.parent / "cache", num_workers=0, **options)  # type: ignore[arg-type]
    data.set_stage(STAGE)
    return data


def names(data: SuperResolutionDataModule, split: Split) -> list[str]:
    return [image.name for image in data.load_splits().splits[split]]


def test_class_folders_are_split_by_name_alone(tmp_path: Path) -> None:
    data = module(save_images(tmp_path / "a" / "images"), val_share=0.2)
    again = module(save_images(tmp_path / "elsewhere" / "images"), val_share=0.2)
    assert len(names(data, "train")) == 8
    assert len(names(data, "val")) == 2
    assert not set(names(data, "train")) & set(names(data, "val"))
    assert names(data, "val") == names(again, "val") == names(data, "test")


def test_a_whole_folder_is_held_out_for_test(tmp_path: Path) -> None:
    data = module(save_images(tmp_path / "images", 3), val_share=1.0)
    assert names(data, "train") == []
    assert len(names(data, "val")) == len(names(data, "test")) == 3
    data.set_stage(STAGE)
    data.setup("test")
    assert sum(len(batch["name"]) for batch in data.test_dataloader()) == 3
    with pytest.raises(DataError, match=r"data\.val_share 1 is for validate and test only"):
        data.train_dataloader()


def test_default_validation_fraction_is_the_lessons(tmp_path: Path) -> None:
    root = save_images(tmp_path / "images", 40, 16, 16)
    assert len(names(module(root), "val")) == 1  # 1 % of 40, at least one
    half = module(root, keep_pct=0.5)
    assert (len(names(half, "train")), len(names(half, "val"))) == (19, 1)  # 2 % of 20
    tenth = module(root, keep_pct=0.1)
    assert (len(names(tenth, "train")), len(names(tenth, "val"))) == (3, 1)  # a tenth of 4 is none, so one


def test_train_and_val_folders_are_kept(tmp_path: Path) -> None:
    save_images(tmp_path / "p" / "train", 3)
    save_images(tmp_path / "p" / "val", 2)
    data = module(tmp_path / "p")
    assert all(name.startswith("train/") for name in names(data, "train"))
    assert names(data, "val") == ["val/n0/p0.png", "val/n1/p1.png"]
    save(tmp_path / "p" / "stray.png", noise(1))
    with pytest.raises(DataError, match=r"such as stray\.png"):
        module(tmp_path / "p").load_splits()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "Test"),
        ("BSDS300/images/train", "BSDS300/images/test"),
        ("trainA", "testA"),
        ("training_set", "test_set"),
        ("set-train/n0", "set-test"),
        ("cats/train", "cats/test"),
    ],
)
def test_images_for_test_alone_are_never_trained_on(train: str, test: str, tmp_path: Path) -> None:
    save_images(tmp_path / "p" / train, 5)
    save_images(tmp_path / "p" / test, 2)
    data = module(tmp_path / "p", val_share=0.4)
    assert names(data, "test") == [f"{test}/n0/p0.png", f"{test}/n1/p1.png"]
    trained, held_out = names(data, "train"), names(data, "val")
    assert (len(trained), len(held_out)) == (3, 2)
    assert all(name.startswith(train) for name in [*trained, *held_out])


def test_folders_of_splits_below_class_folders(tmp_path: Path) -> None:
    for kind in ("cats", "dogs"):
        save_images(tmp_path / "p" / kind / "train", 2)
        save_images(tmp_path / "p" / kind / "test", 1)
    data = module(tmp_path / "p", val_share=0.25)
    assert names(data, "test") == ["cats/test/n0/p0.png", "dogs/test/n0/p0.png"]
    assert (len(names(data, "train")), len(names(data, "val"))) == (3, 1)


def test_div2k(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        save_images(tmp_path / "p" / f"DIV2K_{split}_HR", 2)
        save_images(tmp_path / "p" / f"DIV2K_{split}_LR_bicubic" / "X2", 2, 20, 30)
    data = module(tmp_path / "p")
    assert names(data, "train") == ["DIV2K_train_HR/n0/p0.png", "DIV2K_train_HR/n1/p1.png"]
    assert names(data, "val") == names(data, "test") == ["DIV2K_valid_HR/n0/p0.png", "DIV2K_valid_HR/n1/p1.png"]
    assert any("low-resolution copies: 4 (DIV2K_train_LR_bicubic, DIV2K_valid" in line for line in data.describe())


def test_low_res_patch_is_computed_from_the_high_res_patch(tmp_path: Path) -> None:
    data = module(save_images(tmp_path / "images"), degrade=Degradation(kernel="area"), crops=3)
    patches = data.train_set(STAGE)
    assert len(patches) == 9 * 3  # type: ignore[arg-type]
    sample = patches[Key(0, 5)]
    assert sample["low_res"].shape == (3, 8, 8)
    assert sample["high_res"].shape == (3, 16, 16)
    assert 0 <= sample["low_res"].min() < sample["high_res"].max() <= 1
    squares = torch.nn.functional.avg_pool2d(sample["high_res"], 2)
    torch.testing.assert_close(sample["low_res"], squares, rtol=0, atol=0.51 / 255)


def test_patches_follow_from_epoch_and_index_alone(tmp_path: Path) -> None:
    patches = module(save_images(tmp_path / "images"), crops=2).train_set(STAGE)
    first, _, again = patches[Key(0, 1)], patches[Key(1, 3)], patches[Key(0, 1)]
    torch.testing.assert_close(first["high_res"], again["high_res"], rtol=0, atol=0)
    torch.testing.assert_close(first["low_res"], again["low_res"], rtol=0, atol=0)
    assert not torch.equal(first["high_res"], patches[Key(1, 1)]["high_res"])
    assert not torch.equal(first["high_res"], patches[Key(0, 0)]["high_res"])  # another crop of the same image


def test_all_eight_symmetries_occur_and_none_without_augmentation(tmp_path: Path) -> None:
    root = save_images(tmp_path / "images", 2, 16, 16)  # a patch is the whole image
    data = module(root, val_share=0.5)
    (name,) = names(data, "train")
    image = cv2.cvtColor(cv2.imread(str(root / name)), cv2.COLOR_BGR2RGB)
    wanted = {np.rot90(p, turns).tobytes() for p in (image, image[:, ::-1]) for turns in range(4)}
    patches = data.train_set(STAGE)
    assert {pixels(patches[Key(epoch, 0)]["high_res"]).tobytes() for epoch in range(60)} == wanted
    plain = data.train_set(Stage(name="plain", size=8, scale=2, batch_size=1, epochs=1, lr=1, augment=False))
    assert {pixels(plain[Key(epoch, 0)]["high_res"]).tobytes() for epoch in range(20)} == {image.tobytes()}


def test_validation_is_the_middle_of_the_image(tmp_path: Path) -> None:
    root = save_images(tmp_path / "images")
    data = module(root, val_size=10)
    sample = data.val_set(STAGE)[Key(0, 0)]
    image = cv2.cvtColor(cv2.imread(str(root / sample["name"])), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(pixels(sample["high_res"]), image[10:30, 20:40])
    # as if the whole image had been made small: nothing of it ends at the patch's border
    np.testing.assert_array_equal(pixels(sample["low_res"]), downscale(image, 2, "bicubic")[5:15, 10:20])


def test_image_border_is_reflected(tmp_path: Path) -> None:
    root = save_images(tmp_path / "images", 2, 16, 16)  # a patch is the whole image
    sample = module(root, val_share=0.5).val_set(STAGE)[Key(0, 0)]
    image = cv2.cvtColor(cv2.imread(str(root / sample["name"])), cv2.COLOR_BGR2RGB)
    mirrored = np.pad(image, ((8, 8), (8, 8), (0, 0)), "symmetric")
    np.testing.assert_array_equal(pixels(sample["high_res"]), image)
    np.testing.assert_array_equal(pixels(sample["low_res"]), downscale(mirrored, 2, "bicubic")[4:12, 4:12])


def test_test_uses_whole_images(tmp_path: Path) -> None:
    root = tmp_path / "images"
    for number in range(2):
        save(root / f"p{number}.png", noise(number, 41, 60 + number))
    data = module(root, val_share=0.5)
    (batch,) = data.test_dataloader()
    assert batch["high_res"][0].shape[1] == 40
    assert batch["low_res"][0].shape[1:] == (20, 30)


def test_small_validation_images_are_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_images(tmp_path / "p" / "train", 3)
    save_images(tmp_path / "p" / "val", 2, 15, 60)  # the smallest that 2x can judge is 16: even, and 11 + 2 x 2
    with pytest.raises(DataError, match="none of the 2 held-out images has the 15 px"):
        module(tmp_path / "p").test_set(STAGE)
    save(tmp_path / "p" / "val" / "good.png", noise(1, 16, 60))
    assert len(module(tmp_path / "p").test_set(STAGE)) == 1  # type: ignore[arg-type]
    assert caplog.messages == ["2 of 3 held-out images are below 15 px and left out"]


@pytest.mark.parametrize(("height", "width"), [(60, 90), (90, 60), (12, 20)])
def test_shorter_side_is_resized_to_the_patch(tmp_path: Path, height: int, width: int) -> None:
    # As torchvision's Resize(16) and CenterCrop(16), but with the area filter; an image that is too small is enlarged.
    root = save_images(tmp_path / "images", 2, height, width)
    data = module(root, side="patch", small="enlarge", val_share=0.5, degrade=Degradation(kernel="area"))
    data.prepare([STAGE])
    sample = data.val_set(STAGE)[Key(0, 0)]
    image = Image.open(root / sample["name"])
    resample = Image.Resampling.BOX if min(height, width) > 16 else Image.Resampling.BICUBIC
    expected = CenterCrop(16)(Resize(16, InterpolationMode(resample.name.lower()))(image))
    error = np.abs(pixels(sample["high_res"]).astype(int) - np.asarray(expected))
    assert error[4:12, 4:12].mean() < (1.5 if min(height, width) > 16 else 12)


def test_shorter_side_at_the_patch_leaves_one_direction_to_crop(tmp_path: Path) -> None:
    # 60 x 90 at 16 px is 16 x 24: training crops differ in the horizontal place only, the same in both images of a pair
    gradient = np.broadcast_to(np.linspace(0, 255, 90)[None, :, None], (60, 90, 3)).astype(np.uint8)
    for number in range(2):
        save(tmp_path / "images" / f"{number}.png", gradient)
    stage = Stage(name="2x", size=8, scale=2, batch_size=2, epochs=1, lr=1e-3, augment=False)
    train = module(tmp_path / "images", side="patch", val_share=0.5, crops=40).train_set(stage)
    samples = [train[Key(0, index)] for index in range(40)]
    starts = {round(float(sample["high_res"][0, 8, 8]) * 23) for sample in samples}
    assert len(starts) >= 7  # of the 9 places
    for sample in samples:
        assert float(sample["high_res"].std(dim=1).max()) < 0.02  # constant in each column
        halves = sample["high_res"].unflatten(2, (8, 2)).unflatten(1, (8, 2)).mean((2, 4))
        torch.testing.assert_close(sample["low_res"], halves, rtol=0, atol=1.5 / 255)


def test_restoration_keeps_the_size(tmp_path: Path) -> None:
    data = module(save_images(tmp_path / "images"), degrade=Degradation(after=[Noise(sigma=(30, 30))]))
    stage = Stage(name="repair", size=16, scale=1, batch_size=2, epochs=1, lr=1)
    sample = data.train_set(stage)[Key(0, 0)]
    difference = (sample["low_res"] - sample["high_res"]) * 255
    assert 25 < float(difference.std()) < 35
    validation = data.val_set(stage)
    torch.testing.assert_close(validation[Key(0, 0)]["low_res"], validation[Key(0, 0)]["low_res"], rtol=0, atol=0)


def test_small_images_are_skipped_or_enlarged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = save_images(tmp_path / "images", 6)
    for number in range(4):
        save(root / "small" / f"s{number}.png", noise(number, 10, 30))
    skipping = module(root, val_share=0.5)
    skipping.prepare([STAGE])
    small = sum("small" in name for name in names(skipping, "train"))
    assert f"{small} of 5 train images are below 16 px: left out" in capsys.readouterr().out
    assert len(skipping.train_set(STAGE)) == 5 - small  # type: ignore[arg-type]
    enlarging = module(root, val_share=0.5, small="enlarge")
    enlarging.prepare([STAGE])
    assert f"{small} of 5 train images are below 16 px: enlarged" in capsys.readouterr().out
    patches = enlarging.train_set(STAGE)
    assert {patches[Key(0, index)]["high_res"].shape for index in range(5)} == {(3, 16, 16)}
    save(tmp_path / "tiny" / "a.png", noise(1, 9, 9))
    save(tmp_path / "tiny" / "b.png", noise(2, 9, 9))
    with pytest.raises(DataError, match="none of the 1 train images has the 16 px"):
        module(tmp_path / "tiny", val_share=0.5).train_set(STAGE)


def test_images_are_cached_with_the_images_proportions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ProportionalEncoding(40, 60).shape(20) == (20, 30, 3)
    assert ProportionalEncoding(40, 60).shape(100) == (40, 60, 3)
    data = module(save_images(tmp_path / "images"), side=20)
    data.prepare([STAGE])
    assert "shorter sides: 40 to 40 px" in capsys.readouterr().out
    copies = list((tmp_path / "cache/images/20").rglob("*.npy"))
    assert len(copies) == 10
    assert np.load(copies[0]).shape == (20, 30, 3)
    with pytest.raises(DataError, match=r"raise --data\.side"):
        data.train_set(Stage(name="4x", size=8, scale=4, batch_size=1, epochs=1, lr=1))


def test_videos_are_named_and_damaged_images_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = save_images(tmp_path / "images")
    (root / "clip.mp4").write_bytes(b"video")
    (root / "scan.pdf").write_bytes(b"%PDF-1.4")
    module(root).prepare([STAGE])
    assert "left out, no images by their suffix: 2 (clip.mp4, scan.pdf)" in capsys.readouterr().out
    (root / "scan.jpg").write_bytes(b"%PDF-1.4 with the wrong name")
    (root / "torn.png").write_bytes((root / "n0/p0.png").read_bytes()[:200])
    with pytest.raises(DataError, match="2 x file that cannot be read") as caught:
        module(root).prepare([STAGE])
    assert "scan.jpg" in str(caught.value)
    assert "torn.png" in str(caught.value)


def test_images_without_colors_can_be_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = save_images(tmp_path / "images", 6)
    for number, name in enumerate(("rgb.jpg", "l.png")):
        gray = np.repeat(noise(number, 40, 60)[..., :1], 3, axis=2)
        save(root / name, gray if name.startswith("rgb") else gray[..., 0])
    assert len(names(module(root), "train")) == 7
    data = module(root, gray="skip")
    data.prepare([STAGE])
    assert "  left out, gray: 2\n" in capsys.readouterr().out
    assert {name[:1] for name in names(data, "train") + names(data, "val")} == {"n"}
    for path in root.glob("n*/*"):
        path.unlink()
    with pytest.raises(DataError, match=r"all 2 images in .* are gray"):
        module(root, gray="skip").load_splits()


def test_check_result_is_reused_until_an_image_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = save_images(tmp_path / "images")
    module(root).load_splits()
    looked: list[Path] = []

    def look(path: Path, **how: Any) -> tuple[NDArray[np.uint8], Header]:
        looked.append(path)
        return read_image_and_header(path, **how)

    monkeypatch.setattr("datamodules.images.check.read_image_and_header", look)
    module(root).load_splits()
    assert looked == []
    save(root / "n0" / "p0.png", noise(99, 44, 44))
    assert len(module(root).load_splits().splits["train"]) == 9
    assert len(looked) == 10


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a folder: name an existing one with --data\.root"):
        module(tmp_path / "gone").load_splits()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        module(tmp_path / "empty").load_splits()


def test_stage_without_scale_is_refused(tmp_path: Path) -> None:
    stage = Stage(name="plain", size=8, batch_size=1, epochs=1, lr=1)
    with pytest.raises(DataError, match="stage 'plain' has no scale"):
        module(save_images(tmp_path / "images")).train_set(stage)


def test_patches_too_small_for_the_metrics_are_refused(tmp_path: Path) -> None:
    stage = Stage(name="repair", size=12, scale=1, batch_size=1, epochs=1, lr=1)
    with pytest.raises(DataError, match=r"SSIM needs 13 .* raise --data\.val_size"):
        module(save_images(tmp_path / "images")).val_set(stage)
    assert module(tmp_path / "images", val_size=13).val_set(stage)[Key(0, 0)]["low_res"].shape == (3, 13, 13)


def test_sample_images_are_split_by_whole_images(tmp_path: Path) -> None:
    data = SuperResolutionDataModule(cache_dir=tmp_path, num_workers=0)
    assert names(data, "val") == ["val/chelsea.png", "val/coffee.png", "val/rocket.png"]
    assert len(names(data, "train")) == 7
    written = (tmp_path / "sample_images/train/astronaut.png").stat().st_mtime_ns
    ensure_sample_images(tmp_path / "sample_images")
    assert (tmp_path / "sample_images/train/astronaut.png").stat().st_mtime_ns == written
