"""``show``: one image, all images of a group, and the summary of the network."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers.tiny_run import TinyRuns


def test_group_of_an_image_is_drawn_as_one_sheet(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("show", "--image", "car3_02") == 0
    out = capsys.readouterr().out
    assert "car3_01.jpg\n" in out
    assert "car3_02.jpg\n" in out
    assert "car2_" not in out
    path = tiny.folder() / "figures/image-car3_02.png"
    assert f"written: {path.relative_to(tiny.place)}" in out
    with Image.open(path) as sheet:
        by_name = np.asarray(sheet)
    number = next(line.split()[0] for line in out.splitlines() if line.endswith("car3_01.jpg"))
    assert tiny.run("show", "--index", number) == 0
    with Image.open(tiny.folder() / "figures/image-car3_01.png") as sheet:
        np.testing.assert_array_equal(np.asarray(sheet), by_name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--image", "car3_03"],
            "--image car3_03: no image of the training or validation set has this name; did you mean",
        ),
        (["--index", "10"], "--index 10: there are the images 0 to 9"),
        (["--index", "1", "--image", "a"], "--image and --index name two images"),
    ],
)
def test_images_that_do_not_exist(
    tiny: TinyRuns, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run("show", *words) == 2
    assert message in capsys.readouterr().err


def test_summary_lists_shapes_and_what_every_stage_trains(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    """``DiscNet``: 3 x 3 x 3 x 4 weights and 4 biases in the first group, 4 weights and 1 bias in the second."""
    assert tiny.run("show", "--summary") == 0
    out = capsys.readouterr().out
    encoder = next(line for line in out.splitlines() if "net.encoder" in line)
    assert "112" in encoder
    assert "[1, 3, 32, 32]" in encoder
    assert "[1, 4, 32, 32]" in encoder
    assert "  group 0: 112 parameters\n  group 1: 5 parameters\n" in out
    assert "stage small, 32 px: trains 5 of 117 parameters; frozen: group 0\n" in out
    assert "stage large, 48 px: trains 117 of 117 parameters\n" in out
