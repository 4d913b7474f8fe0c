"""The web page in headless Chromium gives the files of ``predict``, without a request that leaves the page."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from experiments.cli.main import main
from experiments.cli.usage import UsageError
from experiments.export.ort_web import npm_pack
from tests.helpers.browser import CHROMIUM, Browser, browser
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint, style_checkpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome"),
    # lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
    pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)"),
]
TASKS = {"car": "segment", "sr": "sr", "style": "style"}
LEVELS = 2  # largest difference of a result to that of predict, in gray levels
Pixels = NDArray[np.int64]


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with checkpoints and images, which is the working directory."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DARKROOM_RUN_FOLDER", "")
        segment_checkpoint(Path("car.ckpt"), threshold=0.4)
        sr_checkpoint(Path("sr.ckpt"))
        style_checkpoint(Path("style.ckpt"), norm="instance", tile=160)
        Path("images").mkdir()
        cat = Image.fromarray(data.chelsea()).crop((40, 20, 40 + 351, 20 + 233))
        turned = Image.Exif()
        turned[0x0112] = 6
        cat.save("images/turned.jpg", exif=turned, quality=92)
        small = cat.resize((101, 67))
        small.convert("L").save("images/gray.png")
        small.putalpha(Image.linear_gradient("L").resize(small.size).point(lambda value: max(value, 100)))
        small.save("images/clear.png")
        yield folder


@pytest.fixture(scope="module")
def tab(place: Path) -> Iterator[Browser]:
    with browser(place / "profile") as tab:
        yield tab


@cache
def page_of(name: str) -> Path:
    folder = Path("npm")
    folder.mkdir(exist_ok=True)
    try:
        tarball = next(folder.glob("*.tgz"), None) or npm_pack(folder)
    except UsageError as error:
        pytest.skip(f"onnxruntime-web is not to be had: {error}")
    words = ["export", "--format=html", f"--ort_web={tarball}", "--out", f"pages/{name}"]
    assert main(["--task", TASKS[name], *words, "--ckpt_path", f"{name}.ckpt", "--trainer.accelerator=cpu"]) == 0
    return Path(f"pages/{name}.html")


def predict(name: str, out: str, *words: str) -> Path:
    """Runs ``predict`` on all images and returns its folder."""
    fixed = ["--ckpt_path", f"{name}.ckpt", "--trainer.accelerator=cpu", "--trainer.precision=32-true"]
    assert main(["--task", TASKS[name], "predict", "images", "--out", out, *fixed, *words]) == 0
    return Path(out)


def read(path: Path) -> Pixels:
    return np.asarray(Image.open(path)).astype(np.int64)


def assert_close(path: Path, expected: Path) -> None:
    """Compares opacity, and colors as they are seen: a browser's canvas stores colors times opacity, rounded."""
    with Image.open(path) as image, Image.open(expected) as other:
        assert image.mode == other.mode
    ours, theirs = read(path), read(expected)
    assert ours.shape == theirs.shape
    if ours.shape[-1] == 4:
        assert abs(ours[..., 3] - theirs[..., 3]).max() <= LEVELS
        ours, theirs = premultiplied(ours), premultiplied(theirs)
    assert abs(ours - theirs).max() <= LEVELS


def premultiplied(rgba: Pixels) -> Pixels:
    return np.asarray(rgba[..., :3] * rgba[..., 3:] / 255)


def test_masks_cutouts_and_backgrounds(tab: Browser) -> None:
    Image.fromarray(data.astronaut()).resize((201, 160)).save("behind.png")
    words = ["--outputs=mask,cutout,composite,probability", "--background=behind.png"]
    expected = predict("car", "car-torch", *words)
    tab.open(page_of("car"))
    for name in ("gray.png", "turned.jpg"):
        stem = Path(name).stem
        tab.process(Path("images", name))
        mask = read(tab.download("#download-mask", Path("car-page")))
        probs = read(expected / f"probability/{stem}.png") / 65535
        clear = abs(probs - 0.4) > LEVELS / 255
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(mask[clear], read(expected / f"mask/{stem}.png")[clear])
        assert 0.05 < (read(expected / f"cutout/{stem}.png")[..., 3] > 127).mean() < 0.95
        assert_close(tab.download("#download", Path("car-page")), expected / f"cutout/{stem}.png")
    tab.choose("#background-file", Path("behind.png"))
    ours = read(tab.download("#download", Path("car-behind-page")))
    assert abs(ours - read(expected / "composite/turned.jpg")).mean() < LEVELS  # predict writes a JPEG
    tab.evaluate("element('color').value = '#ff8000'; element('color').dispatchEvent(new Event('input'))")
    ours = read(tab.download("#download", Path("car-color-page")))
    cutout = read(expected / "cutout/turned.png")
    mixed = premultiplied(cutout) + (255 - cutout[..., 3:]) / 255 * np.array([255, 128, 0])
    assert abs(ours - mixed).max() <= LEVELS


def test_enlarged_images(tab: Browser) -> None:
    """One of several tiles, a gray one, and one with transparency."""
    expected = predict("sr", "sr-torch")
    tab.open(page_of("sr"))
    for name in ("turned.jpg", "gray.png", "clear.png"):
        tab.process(Path("images", name))
        assert_close(tab.download("#download", Path("sr-page")), expected / f"result/{Path(name).stem}.png")


def test_stylized_images_and_strength(tab: Browser) -> None:
    """The tiles of a network with instance norm share their statistics."""
    full, part = predict("style", "style-torch"), predict("style", "style-part", "--strength=0.4")
    tab.open(page_of("style"))
    for name in ("gray", "turned"):
        tab.process(Path("images", f"{name}.jpg" if name == "turned" else f"{name}.png"))
        assert_close(tab.download("#download", Path("style-page")), full / f"result/{name}.png")
    tab.evaluate(
        "globalThis.asked = []; globalThis.post = page.engine.post.bind(page.engine);"
        "page.engine.post = (type, ...rest) => { asked.push(type); return post(type, ...rest); }; 0"
    )
    tab.evaluate("element('strength').value = 40")
    tab.evaluate("element('strength').dispatchEvent(new Event('input', { bubbles: true }))")
    assert tab.evaluate("element('over').style.opacity") == "0.4"
    assert_close(tab.download("#download", Path("style-part-page")), part / "result/turned.png")
    assert tab.evaluate("asked") == ["blend"]  # the network did not run again


def test_no_request_leaves_the_page(tab: Browser) -> None:
    tab.events.clear()
    tab.open(page_of("sr"))
    tab.process(Path("images/gray.png"))
    assert tab.problems() == []
    assert {address.split(":")[0] for address in tab.requests()} <= {"file", "blob", "about", "data"}
    refused = "fetch('https://example.com').then(() => 'sent', () => 'refused')"
    assert tab.evaluate(refused) == "refused"
    tab.events.clear()  # the refusal is logged as an error


def test_a_file_that_is_no_image_is_named_and_the_next_one_works(tab: Browser) -> None:
    Path("broken.png").write_bytes(Path("images/gray.png").read_bytes()[:60])
    tab.open(page_of("sr"))
    tab.process(Path("broken.png"), Path("images/gray.png"))
    assert tab.evaluate("element('error').innerText").startswith("broken.png cannot be read by this browser")
    assert "gray.png: 202 x 134 pixels" in tab.evaluate("document.body.innerText")


def test_images_are_dropped_pasted_and_taken_with_the_camera(tab: Browser) -> None:
    tab.open(page_of("sr"))
    tab.drop(Path("images/gray.png"), Path("images/clear.png"))
    tab.wait("page.lastKey === 2 && !page.busy")
    tab.paste(Path("images/gray.png"))
    tab.wait("page.lastKey === 3 && !page.busy")
    assert tab.evaluate("page.items.map((item) => item.file.name)") == ["gray.png", "clear.png", "gray.png"]
    assert_close(tab.download("#download", Path("pasted")), predict("sr", "sr-pasted") / "result/gray.png")
    tab.evaluate("element('camera').click()")  # Chromium's fake device: a green image with a moving pie
    tab.wait("element('video').videoWidth > 0 && !element('viewfinder').hidden")
    width, height = tab.evaluate("[element('video').videoWidth, element('video').videoHeight]")
    assert tab.evaluate("document.activeElement.id") == "shoot"
    tab.evaluate("element('shoot').click()")
    tab.wait("page.lastKey === 4 && !page.busy")
    assert tab.evaluate("element('video').srcObject === null && element('viewfinder').hidden")
    assert f"camera-1.png: {2 * width} x {2 * height} pixels" in tab.evaluate("element('facts').textContent")
    assert tab.evaluate("element('error').hidden")
    nothing = "document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: new DataTransfer() })); 0"
    tab.evaluate(nothing)
    assert tab.evaluate("element('error').textContent") == "The clipboard holds no image."


def test_cancel_and_go_on(tab: Browser) -> None:
    tab.open(page_of("sr"))
    tab.evaluate("page.add([new File([''], 'first.png'), new File([''], 'second.png')]); element('cancel').click()")
    tab.wait("!page.busy")
    assert tab.evaluate("page.items.length") == 0
    assert tab.evaluate("element('status').textContent") == "Cancelled"
    tab.process(Path("images/gray.png"))
    assert tab.evaluate("page.items.length") == 1


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("delete globalThis.WebAssembly", "This browser has no WebAssembly"),
        ("delete globalThis.CompressionStream", "This browser lacks CompressionStream"),
        ("WebAssembly.validate = () => false", "no SIMD instructions"),
    ],
)
def test_what_a_browser_lacks_is_named(tab: Browser, missing: str, message: str) -> None:
    script = tab.send("Page.addScriptToEvaluateOnNewDocument", source=missing)["identifier"]
    try:
        tab.open(page_of("sr"))
        assert message in tab.evaluate("element('error').innerText")
        assert not tab.evaluate("element('error').hidden")
    finally:
        tab.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_lack_of_memory_is_reported_and_the_next_image_works(tab: Browser) -> None:
    tab.open(page_of("sr"))
    source = tab.evaluate("textOf('worker-source')")
    tab.evaluate("element('worker-source').textContent += 'HANDLERS.restore = () => new ArrayBuffer(2 ** 45)'")
    tab.evaluate("page.engine.stop()")  # the next worker allocates more than there is
    tab.process(Path("images/gray.png"))
    assert tab.evaluate("element('error').innerText").startswith("The browser ran out of memory")
    tab.evaluate(f"element('worker-source').textContent = {json.dumps(source)}; page.engine.stop()")
    tab.process(Path("images/gray.png"))
    assert tab.evaluate("page.items.length") == 1
    assert tab.evaluate("element('error').hidden")


@pytest.mark.parametrize("name", ["car", "sr"])
def test_phones_and_keyboards(tab: Browser, name: str) -> None:
    tab.open(page_of(name))
    tab.send("Emulation.setDeviceMetricsOverride", width=360, height=720, deviceScaleFactor=1, mobile=True)
    tab.process(Path("images/turned.jpg"), Path("images/gray.png"))
    assert tab.evaluate("document.scrollingElement.scrollWidth") == 360
    nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
    focusable = [
        node
        for node in nodes
        if any(one["name"] == "focusable" and one["value"].get("value") for one in node.get("properties", []))
        and node.get("role", {}).get("value") != "RootWebArea"
    ]
    assert len(focusable) >= 6
    assert [node["role"]["value"] for node in focusable if not node.get("name", {}).get("value")] == []
    reached = set()
    for _ in range(40):
        for kind in ("rawKeyDown", "keyUp"):
            tab.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(tab.evaluate("document.activeElement.id"))
    assert {"files", "camera", "download", "actual"} <= reached
    tab.send("Emulation.clearDeviceMetricsOverride")
