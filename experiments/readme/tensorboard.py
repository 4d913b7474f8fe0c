"""Saves screenshots of TensorBoard, for the README and for machines without a display.

Needs Chromium (Debian: ``apt-get install chromium``), found as ``chromium``, ``chromium-browser`` or ``google-chrome``;
no other part of Darkroom depends on it.

    python -m experiments.readme.tensorboard runs/segment/sample --out docs
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.plugins.environments.lightning import find_free_network_port
from tqdm import tqdm

# Name of the tab -> its address, and the size of the window in pixels.
TABS = {
    "overview": ("#timeseries&_smoothingWeight=0", (1600, 1500)),
    "charts": ("#custom_scalars&_smoothingWeight=0", (1600, 1500)),
    "images": ("#images", (1600, 1300)),
    "text": ("#text", (1600, 1900)),
    "hparams": ("#hparams", (1600, 700)),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Runs a TensorBoard server on the loopback interface.

    Yields:
        The address of the server.

    Raises:
        RuntimeError: if it shows no run within a minute.
    """
    port = find_free_network_port()
    # Load the whole log before the first answer; otherwise screenshots may show half of it.
    whole = ["--load_fast", "false", "--reload_task", "blocking", "--reload_interval", "0"]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), *whole]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(START_SECONDS * 2):
            if server.poll() is None and _has_runs(address):
                break
            time.sleep(0.5)
        else:
            raise RuntimeError(
                f"TensorBoard found no run in {folder} within {START_SECONDS} s; are there events.out.tfevents.* files?"
            )
        yield address
    finally:
        server.terminate()
        server.wait()


def screenshot(browser: str, address: str, size: tuple[int, int], target: Path) -> None:
    """Saves a screenshot of ``address`` as PNG, taken by a headless browser with a temporary profile.

    Raises:
        RuntimeError: if the browser wrote no file.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", "--disable-background-networking"]
        if os.geteuid() == 0:  # Chromium refuses to run its sandbox as root
            command.append("--no-sandbox")
        command += ["--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}/user"]
        command += [f"--window-size={size[0]},{size[1]}", "--virtual-time-budget=30000"]
        image = Path(profile) / "shot.png"
        done = subprocess.run(
            [*command, f"--screenshot={image}", address], capture_output=True, text=True, timeout=180, check=False
        )
        if not image.exists():
            raise RuntimeError(f"{browser} saved no screenshot of {address}: {done.stderr.strip()[-300:]}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(image, target)


def main() -> int:
    """Saves one screenshot per tab; returns 2 if there is no browser or no log."""
    parser = argparse.ArgumentParser(description="Save screenshots of TensorBoard.", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="folder of one run or of several")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the screenshots")
    parser.add_argument("--tab", choices=list(TABS), nargs="+", default=list(TABS), help="tabs; by default all")
    arguments = parser.parse_args()
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print(f"no browser found: install one of {', '.join(BROWSERS)}", file=sys.stderr)
        return 2
    if not any(arguments.folder.rglob("events.out.tfevents.*")):
        print(f"{arguments.folder} holds no TensorBoard log", file=sys.stderr)
        return 2
    with tensorboard(arguments.folder) as address:
        for tab in tqdm(arguments.tab, desc="screenshots", unit="tab"):
            fragment, size = TABS[tab]
            screenshot(browser, address + fragment, size, arguments.out / f"tensorboard-{tab}.png")
    print(f"saved {len(arguments.tab)} screenshots in {arguments.out.resolve()}")
    return 0


def _has_runs(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}data/runs", timeout=5) as answer:
            return bool(answer.read().strip() not in (b"", b"[]"))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


if __name__ == "__main__":
    raise SystemExit(main())
