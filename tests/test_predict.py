"""``predict`` and ``show`` through the real command line, on a network trained for one step."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label

from experiments.cli.main import main
from tests.helpers.real_data import needs, real
from tests.helpers.rle import decode_rle
from tests.helpers.tiny_images import HEIGHT, WIDTH, carvana, noise, save

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
TASK = ["--task", "segment"]


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of one step; later commands use only its checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        carvana(folder / "cars", cars=4)
        words = [
            "--data.root=cars", "--data.cache_dir=cache", "--data.num_workers=0", "--trainer.accelerator=cpu",
            "--model.net.encoder=resnet18", "--model.net.pretrained=none", "--trainer.enable_progress_bar=false",
            "--stages=[{name: only, size: 32, batch_size: 4, epochs: 1, lr: 0.01}]",
        ]  # fmt: skip
        assert main([*TASK, *words]) == 0
        yield folder


def predict(*words: str) -> int:
    return main([*TASK, "predict", *words])


def test_default_output_is_the_run_folder(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(trained / "mine" / "wide.jpg", noise(1, 20, 70))
    save(trained / "mine" / "deep" / "tall.png", noise(2, 60, 30))
    assert predict("mine") == 0
    out = trained / "runs/segment/sample/predictions"
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == sorted(
        f"{kind}/{name}{suffix}"
        for kind, suffix in (("mask", ".png"), ("cutout", ".png"), ("overlay", ".jpg"))
        for name in ("wide", "deep/tall")
    )
    with Image.open(out / "mask/deep/tall.png") as mask:
        assert mask.size == (30, 60)
        assert set(np.unique(np.asarray(mask))) <= {0, 255}
    told = capsys.readouterr().out
    assert "2 images in" in told
    assert f"results are in {Path('runs/segment/sample/predictions')}" in told
    assert predict("mine") == 0
    assert "existing results of 2 images were replaced" in capsys.readouterr().out


def test_unreadable_files_are_listed_and_the_rest_is_processed(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(trained / "mixed" / "good.jpg", noise(3))
    (trained / "mixed" / "empty.png").touch()
    (trained / "mixed" / "torn.jpg").write_bytes((trained / "mixed" / "good.jpg").read_bytes()[:500])
    assert predict("mixed", "--out", "mixed-out", "--outputs", "mask") == 1
    assert [path.name for path in (trained / "mixed-out").rglob("*.*")] == ["good.png"]
    told = capsys.readouterr().out
    assert "1 image in" in told
    assert "2 images could not be read:" in told
    assert "empty.png: is empty (0 bytes)" in told
    assert "torn.jpg: is damaged or cut short" in told


def test_annotations_and_cleaned_masks(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--out",
        "annotated",
        "--outputs",
        "mask,coco,labelme",
        "--largest",
        "1",
        "--fill_holes",
        "--min_area",
        "9",
    ]
    assert predict("cars/train/*.jpg", *words) == 0
    told = capsys.readouterr().out
    assert "annotations.json: all images in one file" in told
    assert "labelme/  JSON of labelme" in told
    content = json.loads((trained / "annotated/annotations.json").read_text(encoding="utf-8"))
    assert sorted(one["file_name"] for one in content["images"]) == sorted(
        path.name for path in (trained / "cars/train").iterdir()
    )
    assert content["categories"] == [{"id": 1, "name": "car"}]
    for image in content["images"]:
        with Image.open(trained / "annotated/mask" / f"{Path(image['file_name']).stem}.png") as mask:
            regions = label(np.asarray(mask), connectivity=2)
        polygons = [one for one in content["annotations"] if one["image_id"] == image["id"]]
        assert regions.max() == len(polygons) <= 1
        shapes = json.loads((trained / f"annotated/labelme/{Path(image['file_name']).stem}.json").read_text("utf-8"))
        assert len(shapes["shapes"]) == len(polygons)
        assert (trained / "annotated/labelme" / shapes["imagePath"]).samefile(
            trained / "cars/train" / image["file_name"]
        )
    assert predict("cars/train/*.jpg", "--outputs", "coco,submission") == 2
    assert "made in two runs" in capsys.readouterr().err


def test_submission_equals_the_written_masks(trained: Path) -> None:
    assert predict("cars/train/*.jpg", "--out", "kaggle", "--outputs", "mask,submission") == 0
    with (trained / "kaggle/submission.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["img", "rle_mask"]
    assert [row[0] for row in rows] == [path.name for path in sorted((trained / "cars/train").iterdir())]
    for name, text in rows:
        written = np.asarray(Image.open(trained / f"kaggle/mask/{Path(name).stem}.png"))
        np.testing.assert_array_equal(decode_rle(text, HEIGHT, WIDTH) * 255, written)


def test_mirrored_images_give_mirrored_masks_with_flip_only(trained: Path) -> None:
    image = noise(4, 32, 32)
    save(trained / "mirror" / "a.png", image)
    save(trained / "mirror" / "b.png", np.ascontiguousarray(image[:, ::-1]))

    def mismatch(folder: str, *words: str) -> float:
        assert predict("mirror", "--out", folder, "--outputs", "probability", *words) == 0
        left, right = (np.asarray(Image.open(trained / folder / f"probability/{name}.png")) for name in "ab")
        return float(abs(left.astype(int) - right[:, ::-1].astype(int)).max())

    assert mismatch("flipped", "--flip") <= 2  # of 65535
    assert mismatch("plain") > 50


def test_background_adds_composites(trained: Path) -> None:
    save(trained / "sky.png", noise(5, 9, 9))
    assert predict("cars/train/car0_01.jpg", "--out", "composed", "--background", "sky.png") == 0
    with Image.open(trained / "composed/composite/car0_01.jpg") as image:
        assert image.size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cars", "--outputs", "maks"], "unknown output 'maks': did you mean 'mask'?"),
        (["cars", "--outputs", "composite"], "add --background FILE"),
        (["cars", "--outputs", "mask", "--background", "cars/train/car0_01.jpg"], "add composite to --outputs"),
        (["cars", "--background", "gone.jpg"], "gone.jpg: cannot be read"),
        (["cars", "--outputs", ","], "--outputs is empty"),
        (["gone"], "gone: there is no such file or folder"),
        ([], "no image to work on"),
        (["twice", "--outputs", "submission"], "2 are called 'same.png'"),
    ],
)
def test_mistakes_are_one_line_before_the_first_image(
    trained: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    for folder in ("a", "b"):
        save(trained / "twice" / folder / "same.png", noise(6))
    assert predict(*words, *(["--out", "never"] if words else [])) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("run.py: ")
    assert message in told
    assert not (trained / "never").exists()


def test_show_draws_batches_and_a_checkpoints_best_and_worst(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TASK, "show", "--ckpt_path", "best", "--out", "drawn"]) == 0
    assert {path.name for path in (trained / "drawn").iterdir()} == {"batch-1-only.png", "best.png", "worst.png"}
    told = capsys.readouterr().out
    assert "mean of all 2: Dice 0." in told  # one of four cars, two views
    assert told.count("  Dice 0.") == 2


def test_show_needs_no_checkpoint(trained: Path) -> None:
    words = ["--data.root=cars", "--data.cache_dir=cache", "--data.num_workers=0", "--model.net.pretrained=none"]
    shared = "batch_size: 2, epochs: 1, lr: 1"
    stages = f"--stages=[{{name: s/1, size: 16, {shared}}}, {{name: two, size: 24, {shared}}}]"
    assert main([*TASK, "show", *words, stages, "--out", "bare"]) == 0
    assert {path.name for path in (trained / "bare").iterdir()} == {"batch-1-s-1.png", "batch-2-two.png"}


@needs(real("carvana"))
def test_real_car_is_written_at_its_own_size(trained: Path) -> None:
    (car, *_) = sorted((real("carvana") / "train").glob("*.jpg"))
    assert predict(str(car), "--out", "real") == 0
    for path in (trained / "real").rglob("*.*"):
        with Image.open(path) as image:
            assert image.size == (1918, 1280)
