"""Transforms of one's choice: which names and arguments are allowed, what is tried before a run, and exact resume."""

import inspect
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
from albumentations import DualTransform, ImageOnlyTransform
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.loading.sampler import sample_seed
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.transform_check import check_transforms
from datamodules.segmentation.transforms import NAMES, TransformSpec, build_transforms
from tests.helpers.tiny_run import TinyRuns, interrupt_at

CHOICE = "[{Affine: {scale: [0.8, 1.2], rotate: 20}}, {GaussNoise: {p: 0.7}}, CoarseDropout]"


def check(*specs: TransformSpec, classes: int = 3, size: int = 32) -> None:
    check_transforms(build_transforms(specs, coverage=classes == 1), size=size, classes=classes)


def test_names_are_classes_of_albumentations_without_functions_or_files_as_arguments() -> None:
    for name in NAMES:
        kind = vars(albumentations)[name]
        assert inspect.isclass(kind)
        assert issubclass(kind, ImageOnlyTransform | DualTransform)
        assert kind.__module__.startswith("albumentations.augmentations.")
        for parameter in inspect.signature(kind).parameters.values():
            if (name, parameter.name) != ("Equalize", "mask"):  # only plain values can be given for it
                assert "Callable" not in str(parameter.annotation)
            assert not parameter.name.endswith(("_path", "_fn", "images"))


@pytest.mark.parametrize(
    "name",
    [
        "Lambda", "TextImage", "FDA", "HistogramMatching", "OneOf", "Compose", "BasicTransform", "from_dict", "load",
        "albumentations.HorizontalFlip", "os.system", "eval", "__builtins__", "core", "horizontalflip", "",
    ],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"transforms: '{name}' is not one of the transforms"):
        build_transforms([name], coverage=True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"Rotate": {"limits": 3}}, "Rotate has no argument 'limits', only limit, "),
        ({"GaussNoise": {"p": 2}}, "GaussNoise: p: Input should be less than or equal to 1"),
        ({"Equalize": {"mask": print}}, "Equalize.mask must be numbers, text or lists of them"),
        ({"Blur": {"p": float("nan")}}, "Blur.p must be numbers"),
        ({"Blur": {}, "D4": {}}, "an entry is NAME or"),
    ],
)
def test_arguments_are_checked(spec: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build_transforms([spec], coverage=True)
    assert "\n" not in str(caught.value)


def test_changes_of_the_size_are_refused_unless_they_are_undone() -> None:
    with pytest.raises(DataError, match="images of 32 x 32 px are 24 x 24 px after RandomCrop"):
        check({"RandomCrop": {"height": 24, "width": 24}})
    with pytest.raises(DataError, match="after Resize"):  # in most samples the size is not restored
        check("RandomScale", {"Resize": {"height": 32, "width": 32, "p": 0.5}})
    check("RandomScale", {"Resize": {"height": 32, "width": 32}})
    check({"RandomResizedCrop": {"size": [32, 32]}})


def test_values_that_are_no_classes_are_refused() -> None:
    for argument in ({"mask_interpolation": 1}, {"border_mode": 0, "fill_mask": 7}):
        with pytest.raises(DataError, match=r"puts the value \d+ into masks whose classes are 0 to 2"):
            check({"Rotate": {"limit": [40, 40], **argument}})
    check({"Rotate": {"limit": [40, 40], "mask_interpolation": 1}}, classes=1)


class Apart(DualTransform):
    """Crops the image alone."""

    def apply(self, img: NDArray[np.uint8], **_: Any) -> NDArray[np.uint8]:
        return img[1:]

    def apply_to_mask(self, mask: NDArray[np.uint8], **_: Any) -> NDArray[np.uint8]:
        return mask


class Float(ImageOnlyTransform):
    """Returns other numbers than bytes."""

    def apply(self, img: NDArray[np.uint8], **_: Any) -> NDArray[np.float32]:
        return img.astype(np.float32)


class Unseeded(ImageOnlyTransform):
    """Draws from a generator of its own."""

    draw = np.random.default_rng(0)

    def apply(self, img: NDArray[np.uint8], **_: Any) -> NDArray[np.uint8]:
        return img ^ self.draw.integers(0, 255, img.shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (Apart(p=1), "Apart returns an image of 32 x 31 px and a mask of 32 x 32 px"),
        (Float(p=0.1), "Float returns an image of float32 and a mask of uint8 instead of uint8 and uint8"),
        (Unseeded(p=1), "Unseeded give two results for one seed"),
    ],
)
def test_wrong_results_are_refused(transform: albumentations.BasicTransform, message: str) -> None:
    before = transform.p
    with pytest.raises(DataError, match=message):
        check_transforms([transform], size=32, classes=2)
    assert transform.p == before


def test_pixels_from_outside_of_a_class_mask_are_ignored() -> None:
    image, mask = np.full((32, 32, 3), 200, np.uint8), np.ones((32, 32), np.uint8)
    augment = Augment(rotate=0, flip=False, light=0, coverage=False, extra=[{"Affine": {"scale": 0.5, "p": 1}}])
    changed, changed_mask = augment(image, mask, seed=0)
    assert changed_mask[16, 16] == 1
    assert (changed[changed_mask == 255] == 0).all()
    assert np.mean(changed_mask == 255) == pytest.approx(0.75, abs=0.05)


def test_they_follow_ours_and_depend_on_the_seed_alone() -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    mask = image[..., 0]
    one = Augment(coverage=True, extra=["InvertImg", {"GaussNoise": {"p": 1}}])
    other = Augment(coverage=True, extra=["InvertImg", {"GaussNoise": {"p": 1}}])
    other(image, mask, seed=5)
    expected, _ = one(image, mask, seed=sample_seed(0, 1, 2))
    result, _ = other(image, mask, seed=sample_seed(0, 1, 2))
    np.testing.assert_array_equal(result, expected)
    assert not np.array_equal(other(image, mask, seed=sample_seed(0, 2, 2))[0], expected)
    inverted, _ = Augment(coverage=True, extra=[{"InvertImg": {"p": 1}}])(image, mask, seed=4)
    plain, _ = Augment(coverage=True)(image, mask, seed=4)
    np.testing.assert_array_equal(inverted, 255 - plain)
    assert str(one).endswith("brightness and contrast by up to 0.05, InvertImg, GaussNoise(p=1)")


def test_mistakes_are_one_line_before_the_first_step(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        ("[Lambda]", "transforms: 'Lambda' is not one of the transforms of albumentations"),
        ("[{class_path: os.system}]", "os.system"),
        ("[{RandomCrop: {height: 32, width: 32}}]", "images of 48 x 48 px are 32 x 32 px after RandomCrop"),
    ):
        assert tiny.run("--data.transforms", words) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if "run.py:" in line]
        assert len(lines) == 1
        assert message in lines[0]
        assert not list(tiny.place.rglob("*.ckpt"))


def test_show_draws_and_prints_them(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--data.transforms", "[{InvertImg: {p: 1}}]", "--data.only_transforms", "true")
    assert tiny.run("show", *words) == 0
    assert "augmentation of stage small: InvertImg(p=1)\n" in capsys.readouterr().out


@pytest.mark.slow
def test_interrupted_run_resumes_exactly(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    def weights(name: str) -> dict[str, torch.Tensor]:
        content = torch.load(tiny.folder(name) / "checkpoints/last.ckpt", weights_only=True)
        state: dict[str, torch.Tensor] = content["state_dict"]
        return state

    assert tiny.run("--name=whole", "--data.transforms", CHOICE) == 0
    with monkeypatch.context() as patch:
        interrupt_at(3, patch)
        assert tiny.run("--name=cut", "--data.transforms", CHOICE) == 75
    assert tiny.run("--resume", str(Path("runs/segment/cut"))) == 0
    assert all(torch.equal(value, weights("cut")[name]) for name, value in weights("whole").items())
    assert tiny.run("--name=plain") == 0
    assert not torch.equal(weights("whole")["net.decoder.weight"], weights("plain")["net.decoder.weight"])
