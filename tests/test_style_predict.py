"""``predict`` for style through the real command line: images and videos."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.io.video import VideoReader
from experiments.cli.main import main
from tests.helpers.style_words import FIT, SMALL, TASK
from tests.helpers.tiny_images import noise, save, save_images
from tests.helpers.tiny_videos import cut_inside_frame, ramp, sound_packets, video

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of a few steps."""
    folder = tmp_path_factory.mktemp("style")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        save_images(folder / "images", 12, 60, 70)
        save(folder / "painting.png", noise(50, 80, 100) // 2)
        assert main([*FIT, f"--stages=[{SMALL}]"]) == 0
        yield folder


def predict(*words: str) -> int:
    return main([*TASK, "predict", *words])


def result(out: str, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(Path(out) / "result" / f"{name}.png"))


def test_strength_and_colors_of_images(capsys: pytest.CaptureFixture[str]) -> None:
    image = noise(1, 37, 51)
    save(Path("mine/deep/odd.png"), image)
    for out, words in {
        "full": [],
        "none": ["--strength=0"],
        "half": ["--strength=0.5"],
        "own": ["--keep_colors"],
    }.items():
        assert predict("mine", "--out", out, *words) == 0
    full, half = (result(out, "deep/odd").astype(int) for out in ("full", "half"))
    assert full.shape == image.shape
    assert abs(full - image).mean() > 10
    np.testing.assert_array_equal(result("none", "deep/odd"), image)
    assert abs(half - (full + image) / 2).max() <= 0.5
    own, old = (np.asarray(Image.fromarray(x).convert("YCbCr")) for x in (result("own", "deep/odd"), image))
    inside = ((result("own", "deep/odd") > 0) & (result("own", "deep/odd") < 255)).all(axis=2)  # of what RGB can show
    assert inside.mean() > 0.5
    assert abs(own[..., 1:].astype(int) - old[..., 1:])[inside].max() <= 2
    told = capsys.readouterr().out
    assert "stylized, blended with the original at strength 0.5" in told
    assert "with the colors of the original" in told


def test_alpha_and_16_bits_are_kept() -> None:
    fine = np.tile(np.linspace(1000, 60000, 40).astype(np.uint16), (24, 1))
    Path("kept").mkdir(exist_ok=True)
    cv2.imwrite("kept/deep.png", np.dstack([fine, fine[::-1], fine // 2]))
    Image.fromarray(np.dstack([noise(2, 20, 30), np.full((20, 30), 77, np.uint8)])).save("kept/clear.png")
    assert predict("kept", "--out", "kept-out", "--strength=0.5") == 0
    assert cv2.imread("kept-out/result/deep.png", cv2.IMREAD_UNCHANGED).dtype == np.uint16
    assert (result("kept-out", "clear")[..., 3] == 77).all()


def test_videos_and_images_of_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    source = video(Path("mixed/clip.mp4"), 6)
    save(Path("mixed/clip.png"), noise(3))
    assert predict("mixed", "--out", "mixed-out", "--strength=0", "--smooth=0.8") == 0
    assert sorted(path.name for path in Path("mixed-out/result").iterdir()) == ["clip-2.png", "clip.mp4"]
    made = list(VideoReader(Path("mixed-out/result/clip.mp4")))
    assert len(made) == 6
    for number, frame in enumerate(made):  # smoothing is of what is painted, not of the video
        assert abs(frame.pixels.astype(int) - ramp(number)).mean() < 4
    assert sound_packets(Path("mixed-out/result/clip.mp4")) == sound_packets(source)
    told = capsys.readouterr().out
    assert "1 image in" in told
    assert "clip.mp4: 6 frames in" in told
    assert "flicker" in told


def test_truncated_video_is_stylized_up_to_the_damage(capsys: pytest.CaptureFixture[str]) -> None:
    cut_inside_frame(video(Path("cut/a.mp4"), 20, sound=None, options={"movflags": "faststart"}), 10)
    assert predict("cut/a.mp4", "--out", "cut-out") == 1
    assert len(list(VideoReader(Path("cut-out/result/a.mp4")))) == 10
    assert "a.mp4: is cut short" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images", "--strength=1.5"], "--strength 1.5: must lie between 0 and 1"),
        (["images", "--smooth=1"], "--smooth 1: must lie between 0 and 0.98"),
        (["images", "--tile=3"], "--tile 3: "),
        (["clip.mp4", "--trainer.devices=2", "--trainer.strategy=ddp"], "videos are processed by one process"),
        ([], "no image to work on"),
    ],
)
def test_mistakes_are_one_line_before_the_first_image(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    video(Path("clip.mp4"), 2)
    assert predict(*words, *(["--out", "never"] if words else [])) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("run.py: ")
    assert message in told
    assert not Path("never").exists()
