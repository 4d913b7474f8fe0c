"""``prepare --from``: annotations of other tools become a data set that trains at once."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from datamodules.annotations.palettes import PALETTES, voc_color
from datamodules.loading.sampler import Key
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from experiments.cli.main import main
from tests.helpers.tiny_images import HEIGHT, WIDTH, noise, save

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools under numpy 2
]
STAGE = Stage(name="test", size=16, batch_size=2, epochs=1, lr=0.1, augment=False)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def convert(format_name: str, source: Path | str, *words: str, out: str = "out") -> int:
    return main(["--task", "segment", "prepare", "--from", format_name, str(source), "--out", out, *words])


def mask_of(path: Path | str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.asarray(image)


def options() -> dict[str, Any]:
    content = yaml.safe_load(Path("out/data.yaml").read_text(encoding="utf-8"))
    return dict(content["data"]["init_args"])


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def labelme(path: Path, shapes: list[dict[str, Any]], image: str, **more: object) -> None:
    save(path.parent / image, noise(1))
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    write_json(path, {"shapes": shapes, "imagePath": image, "imageData": None, **size, **more})


def shape(label: str, kind: str, *points: list[float]) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": [list(point) for point in points]}


def test_labelme_follows_its_own_converters(capsys: Capture) -> None:
    """Sorted classes from 1 on; later shapes cover earlier ones; ``_background_`` and ``__ignore__`` are special."""
    labelme(
        Path("src/a.json"),
        [
            shape("dog", "rectangle", [2, 2], [11, 11]),
            shape("cat", "rectangle", [5, 5], [8, 8]),
            shape("_background_", "rectangle", [6, 6], [6, 6]),
            shape("__ignore__", "rectangle", [20, 20], [22, 22]),
            shape("dog", "line", [0, 0], [5, 5]),
            shape("dog", "point", [1, 1]),
            shape("dog", "polygon", [1, 1], [2, 2]),
        ],
        "a.png",
    )
    write_json(Path("src/b.json"), {"shapes": [shape("dog", "circle", [1, 1], [2, 2])], "imagePath": "gone.png"})
    write_json(Path("src/config.json"), {"other": 1})
    assert convert("labelme", "src") == 0
    mask = mask_of("out/masks/a.png")
    assert mask.shape == (HEIGHT, WIDTH)
    expected = np.zeros_like(mask)
    expected[2:12, 2:12], expected[5:9, 5:9], expected[6, 6], expected[20:23, 20:23] = 2, 1, 0, 255
    np.testing.assert_array_equal(mask, expected)
    assert options() == {"root": str(Path("out").absolute()), "classes": ["background", "cat", "dog"], "ignore": 255}
    told = capsys.readouterr().out
    assert "labelme: 4 annotations used (dog 1, cat 1, _background_ 1, __ignore__ 1)" in told
    assert "5 not used, all listed in" in told
    for reason in ("1 x line: it has no area: a.json shape 5", "1 x point: it has no area", "polygon of 2 points"):
        assert reason in told
    assert "1 x annotation of an image that is missing (gone.png): b.json shape 1" in told
    assert "JSON file without labelme's shapes: config.json" in told
    assert "overlaps: 16 pixels" in told
    assert len(Path("out/skipped.txt").read_text(encoding="utf-8").splitlines()) == 5
    assert "--config" in told.splitlines()[-1]


def test_labelme_images_inside_the_file() -> None:
    content = save(Path("src/hidden/a.png"), noise(4)).read_bytes()
    text = base64.b64encode(content).decode()
    shapes = [shape("dog", "rectangle", [2, 2], [5, 5])]
    write_json(Path("src/labels/a.json"), {"shapes": shapes, "imagePath": "gone.png", "imageData": text})
    damaged = f"{text[:40]}!"
    write_json(Path("src/labels/b.json"), {"shapes": shapes, "imagePath": "gone.png", "imageData": damaged})
    other = {"imageHeight": 9, "imageWidth": 9}
    write_json(Path("src/labels/c.json"), {"shapes": shapes, "imagePath": "gone.png", "imageData": text, **other})
    assert convert("labelme", "src/labels") == 0
    assert Path("out/images/a.png").read_bytes() == content
    assert mask_of("out/masks/a.png").sum() == 16
    assert sorted(path.name for path in Path("out").rglob("*.png")) == ["a.png", "a.png"]
    assert "imageData is malformed" in Path("out/skipped.txt").read_text(encoding="utf-8")


def coco_file(path: Path, annotations: list[dict[str, Any]], images: int = 3) -> Path:
    """Images ``0.png`` and so on beside the file, with the categories 7 dog, 3 cat and 9 never."""
    for number in range(images):
        save(path.parent / "images" / f"{number}.png", noise(number))
    return write_json(
        path,
        {
            "images": [
                {"id": number, "file_name": f"{number}.png", "height": HEIGHT, "width": WIDTH}
                for number in range(images)
            ],
            "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 9, "name": "never"}],
            "annotations": [{"id": number, "iscrowd": 0, **one} for number, one in enumerate(annotations)],
        },
    )


def coco_annotations() -> list[dict[str, Any]]:
    runs = [HEIGHT * 30, 5, HEIGHT - 5, 5, HEIGHT * (WIDTH - 32) + HEIGHT - 5]
    return [
        {"image_id": 0, "category_id": 7, "segmentation": [square(2, 2, 10), square(20, 20, 4)]},
        {"image_id": 0, "category_id": 3, "segmentation": [square(4, 4, 4)]},
        {"image_id": 0, "category_id": 7, "segmentation": {"counts": runs, "size": [HEIGHT, WIDTH]}},
        {"image_id": 0, "category_id": 7, "segmentation": [square(0, 0, 6)], "iscrowd": 1},
        {"image_id": 1, "category_id": 7, "segmentation": [], "bbox": [1, 1, 4, 4]},
        {"image_id": 1, "category_id": 5, "segmentation": [square(1, 1, 4)]},
        {"image_id": 99, "category_id": 7, "segmentation": [square(1, 1, 4)]},
    ]


def test_coco(capsys: Capture) -> None:
    coco_file(Path("src/annotations.json"), coco_annotations())
    assert convert("coco", "src/annotations.json") == 0
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:6, :6] = 255
    expected[2:12, 2:12], expected[20:24, 20:24], expected[:5, 30:32] = 1, 1, 1
    expected[4:8, 4:8] = 2
    np.testing.assert_array_equal(mask_of("out/masks/0.png"), expected)
    assert not mask_of("out/masks/1.png").any()
    told = capsys.readouterr().out
    assert "coco: 4 annotations used (dog 3, cat 1)" in told
    assert "1 x annotation without an outline" in told
    assert "1 x annotation of a category that is not listed" in told
    assert "1 x annotation whose image is not listed" in told
    assert "declared, but never annotated, and so left out: never" in told
    assert "3 images, 2 without any annotation" in told
    assert "hard links" in told
    assert Path("out/images/0.png").samefile("src/images/0.png")


def test_overlaps_by_area_classes_and_crowds() -> None:
    small, large = square(4, 4, 4), square(2, 2, 10)
    coco_file(
        Path("src/a.json"),
        [
            {"image_id": 0, "category_id": 3, "segmentation": [small]},
            {"image_id": 0, "category_id": 7, "segmentation": [large]},
            {"image_id": 0, "category_id": 3, "segmentation": [square(30, 2, 8)], "iscrowd": 1},
        ],
    )
    assert convert("coco", "src/a.json", "--overlap", "area", "--crowd", "object", "--classes", "cat,dog") == 0
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2:12, 2:12] = 2
    expected[4:8, 4:8], expected[2:10, 30:38] = 1, 1
    np.testing.assert_array_equal(mask_of("out/masks/0.png"), expected)
    assert convert("coco", "src/a.json", "--classes", "dog", out="one") == 0
    assert set(np.unique(mask_of("one/masks/0.png"))) == {0, 1}


def test_many_images_are_drawn_in_processes_and_crowds_of_one_class_are_ignored(capsys: Capture) -> None:
    """More images than are drawn in this process; a single class with ignored pixels stays a single class."""
    annotations = [
        {"image_id": number, "category_id": 7, "segmentation": [square(number, 3, 5)], "iscrowd": number % 2}
        for number in range(20)
    ]
    coco_file(Path("src/a.json"), annotations, images=20)
    assert convert("coco", "src/a.json") == 0
    for number in range(20):
        mask = mask_of(f"out/masks/{number}.png")
        expected = np.zeros_like(mask)
        expected[3:8, number : number + 5] = 255 if number % 2 else 1
        np.testing.assert_array_equal(mask, expected)
    assert options() | {"root": ""} == {"root": "", "classes": ["dog"], "ignore": 255}
    data = FolderDataModule(cache_dir=Path("cache"), num_workers=0, **(options() | {"root": Path("out")}))
    data.prepare([STAGE])
    assert "mask values: 0 = background 98.4%, 1 = dog 0.8%, 255 = ignored 0.8%" in capsys.readouterr().out


def test_masks_equal_those_of_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    path = coco_file(Path("src/a.json"), coco_annotations()[:3])
    assert convert("coco", path, "--classes", "dog") == 0
    api = coco.COCO(str(path))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    for annotation in api.loadAnns(api.getAnnIds(imgIds=[0], catIds=[7])):
        expected |= api.annToMask(annotation).astype(bool)
    np.testing.assert_array_equal(mask_of("out/masks/0.png") == 1, expected)


def test_coco_files_of_splits() -> None:
    for split, first in (("train", 0), ("val", 5)):
        folder = Path("src") / f"{split}2017"
        save(folder / f"{first}.png", noise(first))
        write_json(
            Path(f"src/annotations/instances_{split}2017.json"),
            {
                "images": [{"id": 1, "file_name": f"{first}.png", "height": HEIGHT, "width": WIDTH}],
                "categories": [{"id": 1, "name": "dog"}],
                "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [square(2, 2, 9)]}],
            },
        )
    write_json(Path("src/annotations/captions_train2017.json"), {})
    assert convert("coco", "src") == 0
    data = FolderDataModule(cache_dir=Path("cache"), num_workers=0, **(options() | {"root": Path("out")}))
    assert len(data.train_set(STAGE)) == len(data.val_set(STAGE)) == 1  # type: ignore[arg-type]
    assert Path("out/masks/val/5.png").is_file()


def test_yolo(capsys: Capture) -> None:
    for split in ("train", "val"):
        for number in range(2):
            save(Path(f"src/images/{split}/{split}{number}.png"), noise(number))
    labels = Path("src/labels/train/train0.txt")
    labels.parent.mkdir(parents=True)
    corners = [f"{x / WIDTH} {y / HEIGHT}" for x, y in ((6, 4), (18, 4), (18, 12), (6, 12))]
    labels.write_text(f"1 {' '.join(corners)}\n0 0.5 0.5 0.1 0.1\n7 {' '.join(corners)}\n\nx 1 2\n", encoding="utf-8")
    Path("src/data.yaml").write_text("names: {0: person, 1: dog}\ntrain: images/train\n", encoding="utf-8")
    assert convert("yolo", "src") == 0
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[4:12, 6:18] = 1
    np.testing.assert_array_equal(mask_of("out/masks/train/train0.png"), expected)
    assert options()["classes"] == ["dog"]
    told = capsys.readouterr().out
    assert "1 x box without an outline: labels/train/train0.txt line 2" in told
    assert "1 x class 7 that is not listed" in told
    assert "1 x line that is not made of numbers" in told
    assert "split: train 2, val 2" in told


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><job><labels><label><name>road</name><color>#ff0000</color></label><label><name>car</name></label></labels></job></meta>
<image id="0" name="a.png" width="48" height="32">
  <polygon label="car" points="10.0,10.0;20.0,10.0;20.0,20.0;10.0,20.0" z_order="1"></polygon>
  <box label="road" xtl="5" ytl="15" xbr="40" ybr="25" z_order="0"></box>
  <mask label="car" rle="1, 2, 1, 2" left="30" top="2" width="3" height="2" z_order="0"></mask>
  <polyline label="car" points="1,1;2,2"></polyline>
  <box label="car" xtl="x" ytl="1" xbr="2" ybr="2"></box>
</image>
<image id="1" name="missing.png" width="48" height="32"><box label="car" xtl="1" ytl="1" xbr="9" ybr="9"/></image>
<track id="0" label="car"><box frame="0" xtl="1" ytl="1" xbr="9" ybr="9"/></track>
</annotations>"""


def test_cvat(capsys: Capture) -> None:
    save(Path("src/images/a.png"), noise(1))
    Path("src/annotations.xml").write_text(CVAT, encoding="utf-8")
    assert convert("cvat", "src") == 0
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[15:25, 5:40] = 1
    expected[10:20, 10:20], expected[2, 31:33], expected[3, 31:33] = 2, 2, 2
    np.testing.assert_array_equal(mask_of("out/masks/a.png"), expected)
    assert options()["classes"] == ["background", "road", "car"]
    told = capsys.readouterr().out
    for reason in ("polyline: it has no area", "box with malformed numbers", "image that is missing", "video's track"):
        assert reason in told


def test_voc_palette_and_lists() -> None:
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    indices[4:9, 4:9], indices[10:12, 10:12], indices[20:22] = 12, 15, 255
    for number in range(3):
        save(Path(f"VOC2012/JPEGImages/{number}.jpg"), noise(number))
    for number in range(2):
        image = Image.fromarray(indices)
        image.putpalette([value for index in range(256) for value in voc_color(index)])
        path = Path(f"VOC2012/SegmentationClass/{number}.png")
        path.parent.mkdir(exist_ok=True)
        image.save(path)
    lists = Path("VOC2012/ImageSets/Segmentation")
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n", encoding="utf-8")
    (lists / "val.txt").write_text("1\n", encoding="utf-8")
    assert convert("voc", ".") == 0
    expected = np.select([indices == 12, indices == 15, indices == 255], [1, 2, 255]).astype(np.uint8)
    np.testing.assert_array_equal(mask_of("out/masks/train/0.png"), expected)
    assert Path("out/images/val/1.jpg").is_file()
    assert options() | {"root": ""} == {"root": "", "classes": ["background", "dog", "person"], "ignore": 255}


def test_known_colors_are_recognized(capsys: Capture) -> None:
    colors = PALETTES["camvid"].colors
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for row, name in enumerate(("Sky", "SUVPickupTruck", "LaneMkgsDriv", "Car")):
        pixels[row] = colors[name]
    save(Path("src/images/a.png"), noise(1))
    save(Path("src/masks/a_L.png"), pixels)
    assert convert("rgb", "src") == 0
    told = capsys.readouterr().out
    assert "palette: camvid (all colors are those of the palette camvid)" in told
    assert options()["classes"] == ["Car", "LaneMkgsDriv", "Sky", "SUVPickupTruck"]
    mask = mask_of("out/masks/a.png")
    assert mask[:5, 0].tolist() == [2, 3, 1, 0, 255]


def test_discovered_colors_can_be_named(capsys: Capture) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:8], pixels[8:10] = (10, 200, 30), (1, 2, 3)
    save(Path("src/images/a.png"), noise(1))
    save(Path("src/masks/a.png"), pixels)
    assert convert("rgb", "src") == 0
    assert "10 200  30  25.00%  color-0ac81e" in capsys.readouterr().out
    palette = Path("out/palette.txt").read_text(encoding="utf-8")
    for code, name in (("color-000000", "background"), ("color-0ac81e", "green"), ("color-010203", "ignore")):
        palette = palette.replace(code, name)
    Path("palette.txt").write_text(palette, encoding="utf-8")
    assert convert("rgb", "src", "--palette", "palette.txt", "--overwrite") == 0
    mask = mask_of("out/masks/a.png")
    assert mask[[0, 8, 12], 0].tolist() == [1, 255, 0]
    assert not Path("out/palette.txt").exists()


def test_wrong_palette_is_refused(capsys: Capture) -> None:
    save(Path("src/images/a.png"), noise(1))
    save(Path("src/masks/a.png"), np.full((HEIGHT, WIDTH, 3), 77, np.uint8))
    assert convert("rgb", "src", "--palette", "cityscapes") == 2
    assert "there is no class" in capsys.readouterr().err
    assert not Path("out").exists()


def test_rotated_images(capsys: Capture) -> None:
    """labelme shows an image upright: the mask is turned with it when it is read."""
    labelme(Path("src/a.json"), [shape("dog", "rectangle", [0, 0], [7, 3])], "a.jpg")
    upright = {"imageHeight": WIDTH, "imageWidth": HEIGHT}
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    with Image.open("src/a.jpg") as image:
        image.save("src/a.jpg", exif=exif)
    content = json.loads(Path("src/a.json").read_text(encoding="utf-8")) | upright
    write_json(Path("src/a.json"), content)
    write_json(Path("src/b.json"), content)
    assert convert("labelme", "src") == 0
    data = FolderDataModule(
        cache_dir=Path("cache"), num_workers=0, val_share=0.5, **(options() | {"root": Path("out")})
    )
    mask = data.test_set(STAGE)[Key(0, 0)]["mask"].numpy()  # type: ignore[index]
    assert mask.shape == (WIDTH, HEIGHT)
    assert np.argwhere(mask).tolist() == [[r, c] for r in range(4) for c in range(8)]


BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><annotations>&y;</annotations>'


@pytest.mark.parametrize(
    ("format_name", "name", "content", "message"),
    [
        ("cvat", "a.xml", BOMB, "declares a document type"),
        ("cvat", "a.xml", "<a>" * 100 + "</a>" * 100, "nested more than 32 levels"),
        ("cvat", "a.xml", "<annotations>", "is no XML"),
        ("coco", "a.json", "[" * 100_000, "nested too deep"),
        ("coco", "a.json", '{"images": NaN}', "it holds NaN"),
        ("coco", "a.json", '{"images": []}', "no file with COCO's images"),
        ("yolo", "a.yaml", "a: &x [1]\nb: [*x, *x]", "holds an alias"),
        ("labelme", "a.json", "{}", "JSON file without labelme's shapes"),
    ],
)
def test_hostile_files_give_one_line(format_name: str, name: str, content: str, message: str, capsys: Capture) -> None:
    save(Path("src/images/a.png"), noise(1))
    Path("src", name).write_text(content, encoding="utf-8")
    assert convert(format_name, "src") == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
    assert not Path("out").exists()


def test_nothing_is_overwritten_unless_asked_for(capsys: Capture) -> None:
    path = coco_file(Path("src/a.json"), coco_annotations()[:1])
    assert convert("coco", path) == 0
    before = Path("out/masks/0.png").read_bytes()
    assert convert("coco", path) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    coco_file(path, coco_annotations()[1:2])
    assert convert("coco", path, "--overwrite") == 0
    assert Path("out/masks/0.png").read_bytes() != before
    assert sorted(entry.name for entry in Path().iterdir() if "out" in entry.name) == ["out"]
    Path("mine").mkdir()
    Path("mine/thesis.txt").touch()
    assert convert("coco", path, "--overwrite", out="mine") == 2
    assert "was not written by an import" in capsys.readouterr().err
    assert Path("mine/thesis.txt").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "coco", "--out", "out"], "which annotations?"),
        (["--from", "coco", "src"], "needs --out FOLDER"),
        (["--from", "coco", "nowhere", "--out", "out"], "does not exist"),
        (["--from", "coco", "src", "--out", "out", "--palette", "voc"], "--palette is for the colors"),
        (["src"], "only with --from"),
        (["--from", "coco", "src", "--out", "out", "--classes", "dgo"], "did you mean 'dog'"),
    ],
)
def test_options_that_do_not_fit(words: list[str], message: str, capsys: Capture) -> None:
    coco_file(Path("src/a.json"), coco_annotations())
    assert main(["--task", "segment", "prepare", *words]) == 2
    assert message in capsys.readouterr().err


def test_imported_data_train(capsys: Capture) -> None:
    coco_file(Path("src/a.json"), coco_annotations()[:1])
    assert convert("coco", "src/a.json") == 0
    words = ["--config=out/data.yaml", "--data.cache_dir=cache", "--data.num_workers=0", "--trainer.accelerator=cpu"]
    net = ["--model.net.encoder=resnet18", "--model.net.pretrained=none", "--trainer.enable_progress_bar=false"]
    stages = "--stages=[{name: only, size: 32, batch_size: 2, epochs: 1, lr: 0.01}]"
    assert main(["--task", "segment", *words, *net, stages]) == 0
