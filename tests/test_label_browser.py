"""A person labels images in Chromium, trains a tiny network, and corrects what it suggests."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.helpers.browser import CHROMIUM, Browser, browser
from tests.helpers.mouse import box_of, click, drag, press, resize
from tests.helpers.real_run import RealRun

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
WIDTH, HEIGHT, RADIUS = 160, 120, 30
CENTERS = [(60, 60), (90, 50), (80, 70), (95, 60)]
ORDER, LAST = (0, 3, 1), 2  # of the images: without suggestions, the page proposes one far from those that are labeled
WORDS = (
    *("--task", "segment", "label", "images", "--classes", "disc", "--no_browser", "--no_training"),
    *("--model.net", "tests.helpers.tiny_segment.DiscNet", "--trust-config", "--trainer.accelerator", "cpu"),
    *("--stages.0.epochs", "1", "--stages.1.epochs", "25", "--stages.all.size", "32", "--stages.all.batch_size", "2"),
    *("--stages.all.lr", "0.1", "--stages.1.lr_scale", "[0.1, 1]"),
    *("--data.num_workers", "0", "--data.cache_dir", "cache"),
)


def disc(center: tuple[int, int], radius: float = RADIUS) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.asarray(np.hypot(columns - center[0], rows - center[1]) <= radius)


def write_images(folder: Path) -> None:
    folder.mkdir()
    for number, center in enumerate(CENTERS):
        noise = np.random.default_rng(number).integers(0, 60, (HEIGHT, WIDTH, 3))
        pixels = np.where(disc(center)[..., None], 180, 20) + noise
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"p{number}.png")


def in_page(tab: Browser, point: tuple[float, float]) -> tuple[float, float]:
    """Where a pixel of an image is displayed while the image fits the window."""
    left, top, width, height = box_of(tab, "#canvas")
    zoom = 0.96 * min(width / WIDTH, height / HEIGHT)
    return left + (width - zoom * WIDTH) / 2 + zoom * point[0], top + (height - zoom * HEIGHT) / 2 + zoom * point[1]


def wait_for_title(tab: Browser, name: str) -> None:
    tab.wait(f"document.querySelector('#title')?.textContent.includes('{name}')")
    tab.wait("document.querySelector('#undo').disabled")


def test_person_labels_trains_accepts_and_corrects(tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    masks = tmp_path / "images" / "masks"
    with RealRun(tmp_path, *WORDS) as run, browser(tmp_path / "profile") as tab:
        run.wait_for("the page is at ")
        run.wait_for("(Ctrl-C")
        address = run.said.split("the page is at ")[1].split()[0]
        resize(tab, 1280, 800)
        tab.send("Page.navigate", url=address)
        for number in ORDER:
            x, y = CENTERS[number]
            wait_for_title(tab, f"p{number}.png")
            drag(tab, [in_page(tab, (x - 15, y)), in_page(tab, (x + 15, y))])
            tab.wait("!document.querySelector('#undo').disabled")
            if number == 0:
                press(tab, "z", control=True)
                tab.wait("document.querySelector('#undo').disabled")
                press(tab, "z", control=True, shift=True)
                tab.wait("!document.querySelector('#undo').disabled")
            press(tab, "Enter")
        wait_for_title(tab, f"p{LAST}.png")
        for number in ORDER:
            mask = np.asarray(Image.open(masks / f"p{number}.png"))
            assert set(np.unique(mask)) == {0, 1}
            assert (mask == disc(CENTERS[number])).mean() > 0.97, number

        click(tab, "#train")
        tab.wait("/complete|failed/.test(document.querySelector('#phase').textContent)")
        log = masks.parent / ".label" / "rounds" / "1.log"
        assert "complete" in str(tab.evaluate("document.querySelector('#phase').textContent")), log.read_text()
        tab.wait("!document.querySelector('#dismiss').hidden")  # the open image has a suggestion
        assert not (masks / f"p{LAST}.png").exists()
        assert tab.evaluate("document.querySelectorAll('.dot.suggested').length") == 1
        press(tab, "s")  # the raw brush
        x, y = CENTERS[LAST]
        drag(tab, [in_page(tab, (x, y - 20)), in_page(tab, (x, y - 12))], button="right")
        tab.wait("!document.querySelector('#undo').disabled")
        press(tab, "Enter")
        tab.wait("document.querySelector('#counts').textContent.includes('4 of 4')")
        mask = np.asarray(Image.open(masks / f"p{LAST}.png"))
        assert set(np.unique(mask)) == {0, 1}
        assert not mask[y - 18 : y - 13, x - 1 : x + 2].any()
        lower = np.mgrid[:HEIGHT, :WIDTH][0] > y
        assert mask[disc((x, y), RADIUS - 8) & lower].mean() > 0.95
        assert mask[~disc((x, y), RADIUS + 8)].mean() < 0.05

        click(tab, "#finish")
        tab.wait("document.querySelector('#command-lines').textContent.includes('--recipe label')")
        assert tab.problems() == []
        click(tab, "#quit")
        assert run.finish() == 0
    for word in ("--recipe label", "export"):
        assert word in run.said
    assert "predict the other images" not in run.said  # all are done
