"""The page of label with fingers and a pen: strokes, pinch, pan, and what fits on a tablet."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser import CHROMIUM, Browser, browser
from tests.helpers.label_site import Site
from tests.helpers.mouse import box_of, press, resize
from tests.helpers.touch import fingers, pen

RADIUS = 30  # of the brush, in pixels of the page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "images").mkdir()
    made = Site(tmp_path / "images", size=(480, 320))
    yield made
    made.close()


@pytest.fixture
def tab(site: Site, tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "profile") as made:
        resize(made, 1024, 768, touch=True)
        made.send("Page.navigate", url=site.guard.address)
        made.wait("document.querySelector('#title')?.textContent.includes('p0.png')")
        press(made, "s")  # the raw brush: what is drawn is what is labeled
        yield made


def middle(tab: Browser) -> tuple[float, float]:
    left, top, width, height = box_of(tab, "#canvas")
    return left + width / 2, top + height / 2


def labeled(site: Site) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is labeled, in pixels of the image."""
    mask = np.asarray(Image.open(site.folder.masks / "p0.png"))
    rows, columns = np.nonzero(mask == 1)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def wait_for_edits(tab: Browser, count: int) -> None:
    known = f"(await (await fetch('api/open/0')).json()).undo === {count}"
    tab.evaluate(f"(async () => {{ while (!({known})) await new Promise(done => setTimeout(done, 50)); }})()")


def zoom_of(tab: Browser, site: Site) -> float:
    """Pixels of the page for one of the image while it fits the window."""
    _, _, width, height = box_of(tab, "#canvas")
    return 0.96 * min(width / site.size[0], height / site.size[1])


def test_finger_and_pen_draw_where_they_touch(tab: Browser, site: Site) -> None:
    x, y = middle(tab)
    zoom = zoom_of(tab, site)
    fingers(tab, [(x - 8 * zoom, y), (x + 8 * zoom, y)])
    wait_for_edits(tab, 1)
    width = site.size[0]
    radius = RADIUS / zoom
    left, top, right, bottom = labeled(site)
    assert abs(left - (width / 2 - 8 - radius)) <= 1.5
    assert abs(right - (width / 2 + 8 + radius)) <= 1.5
    assert abs(bottom - top - 2 * radius) <= 2
    pen(tab, [(x, y - 12 * zoom), (x, y + 12 * zoom)])
    wait_for_edits(tab, 2)
    _, top, _, bottom = labeled(site)
    assert bottom - top >= 24
    assert tab.problems() == []


def test_pinch_zooms_and_two_fingers_pan_without_drawing(tab: Browser, site: Site) -> None:
    x, y = middle(tab)
    fingers(tab, [(x - 50, y), (x - 100, y)], [(x + 50, y), (x + 100, y)])  # twice the distance
    fingers(tab, [(x - 50, y), (x + 10, y + 40)], [(x + 50, y), (x + 110, y + 40)])  # by 60 and 40 pixels
    assert tab.evaluate("document.querySelector('#undo').disabled")
    assert not site.folder.masks.exists()
    zoom = 2 * zoom_of(tab, site)
    fingers(tab, [(x + 60, y + 40)])  # the middle of the image is there now
    wait_for_edits(tab, 1)
    left, top, right, bottom = labeled(site)
    assert abs((left + right) / 2 - site.size[0] / 2) <= 1.5
    assert abs((top + bottom) / 2 - site.size[1] / 2) <= 1.5
    assert abs((right - left) - 2 * RADIUS / zoom) <= 2
    assert tab.problems() == []


def test_list_opens_and_is_closed_without_choosing_an_image(tab: Browser, site: Site) -> None:
    def tap(left: float, top: float, width: float, height: float) -> None:
        fingers(tab, [(left + width / 2, top + height / 2)])

    opened = "document.querySelector('#side').classList.contains('open')"
    shown = "document.querySelector('#drawer').getAttribute('aria-expanded')"
    left, top, width, height = box_of(tab, "#canvas")
    beside = (left + width - 40, top + height - 40, 0.0, 0.0)
    for with_button in (True, False):
        tap(*box_of(tab, "#drawer"))
        tab.wait(opened)
        assert tab.evaluate(shown) == "true"
        tap(*(box_of(tab, "#close-list") if with_button else beside))
        tab.wait(f"!{opened}")
        assert tab.evaluate(shown) == "false"
    assert tab.evaluate("document.querySelector('#title').textContent") == "1 of 3: p0.png"
    assert not site.folder.masks.exists()  # the tap beside the list drew nothing
    assert tab.problems() == []


@pytest.mark.parametrize(("width", "height", "touch"), [(1280, 800, False), (1024, 768, True), (820, 1180, True)])
def test_all_controls_are_visible_and_apart(tab: Browser, width: int, height: int, touch: bool) -> None:
    resize(tab, width, height, touch=touch)
    tab.wait(f"innerWidth === {width}")
    boxes = tab.evaluate(
        "[...document.querySelectorAll('main button, main input')].filter(one => one.offsetParent).map(one => {"
        "const box = one.getBoundingClientRect();"
        "return [one.id || one.textContent, box.x, box.y, box.right, box.bottom]})"
    )
    assert len(boxes) > 15
    for name, left, top, right, bottom in boxes:
        assert min(left, top, width - right, height - bottom) >= 0, name
    for index, (name, left, top, right, bottom) in enumerate(boxes):
        for other, left2, top2, right2, bottom2 in boxes[:index]:
            apart = right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
            assert apart, f"{name} covers {other}"
    assert box_of(tab, "#canvas")[3] > 0.6 * height
