"""Takes images of a run as TensorBoard shows it, for the README and for a look from a machine without a screen.

Needs Chromium (Debian: ``apt-get install chromium``), found as ``chromium``, ``chromium-browser`` or ``google-chrome``;
nothing of everyday use depends on it.

    python experiments/readme/tensorboard.py runs/segment/sample --out docs
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

# Name of the image -> address of the tab, and size of the window in pixels.
TABS = {
    "overview": ("#timeseries&_smoothingWeight=0", (1600, 1500)),
    "charts": ("#custom_scalars&_smoothingWeight=0", (1600, 1500)),
    "images": ("#images", (1600, 1300)),
    "text": ("#text", (1600, 1900)),
    "hparams": ("#hparams", (1600, 700)),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 60


def free_port() -> int:
    """Asks the system for a port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """Serves ``folder`` on this machine alone while it is needed.

    Yields:
        The address.

    Raises:
        RuntimeError: if it does not answer within a minute.
    """
    port = free_port()
    # Reads the whole log before it answers; the images would show half of it otherwise.
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
            raise RuntimeError(f"TensorBoard showed no run of {folder} within {START_SECONDS} s: is there a log in it?")
        yield address
    finally:
        server.terminate()
        server.wait()


def screenshot(browser: str, address: str, size: tuple[int, int], target: Path) -> None:
    """Opens ``address`` in a headless browser with a profile of its own and saves what it shows as PNG.

    Raises:
        RuntimeError: if the browser made no image.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", "--disable-background-networking"]
        if os.geteuid() == 0:  # Chromium's sandbox refuses to work for root
            command.append("--no-sandbox")
        command += ["--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}/user"]
        command += [f"--window-size={size[0]},{size[1]}", "--virtual-time-budget=30000"]
        image = Path(profile) / "shot.png"
        done = subprocess.run(
            [*command, f"--screenshot={image}", address], capture_output=True, text=True, timeout=180, check=False
        )
        if not image.exists():
            raise RuntimeError(f"{browser} made no image of {address}: {done.stderr.strip()[-300:]}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(image, target)


def main() -> int:
    """Takes the images that were asked for.

    Returns:
        0, or 2 for what the user has to mend.
    """
    parser = argparse.ArgumentParser(description="Save images of a run as TensorBoard shows it.", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="folder of a run, or of several to compare")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the images")
    parser.add_argument("--tab", choices=list(TABS), nargs="+", default=list(TABS), help="which tabs; all of them")
    arguments = parser.parse_args()
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print(f"no browser found: install one of {', '.join(BROWSERS)}", file=sys.stderr)
        return 2
    if not any(arguments.folder.rglob("events.out.tfevents.*")):
        print(f"{arguments.folder} holds no TensorBoard log", file=sys.stderr)
        return 2
    with tensorboard(arguments.folder) as address:
        for tab in tqdm(arguments.tab, desc="tabs"):
            fragment, size = TABS[tab]
            screenshot(browser, address + fragment, size, arguments.out / f"tensorboard-{tab}.png")
    print(f"saved {len(arguments.tab)} images in {arguments.out.resolve()}")
    return 0


def _has_runs(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}data/runs", timeout=5) as answer:
            return bool(answer.read().strip() not in (b"", b"[]"))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


if __name__ == "__main__":
    raise SystemExit(main())
