"""Headless Chromium, driven over the pipe of its DevTools protocol, which needs no package."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
_OPTIONS = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe",
)  # fmt: skip
_SECONDS = 240
# The protocol's pipe is file descriptor 3 for commands and 4 for answers. Not in sh: dash redirects from 0 to 9 only.
_REDIRECT = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab.

    Args:
        commands: file descriptor to which messages are written.
        answers: file descriptor from which messages are read.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer, self._last = b"", 0
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.send(f"{domain}.enable")
        self.send("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and returns its result; events that arrive before it are kept."""
        self._last += 1
        number = self._last
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session and not method.startswith("Browser."):
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _SECONDS
        while (answer := self._read(end)).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, page: Path) -> None:
        """Opens a file and waits until its script has run."""
        self.send("Page.navigate", url=page.resolve().as_uri())
        self.wait("document.readyState === 'complete' && document.querySelector('#about dt') !== null")

    def evaluate(self, expression: str) -> Any:
        """Evaluates JavaScript, waits for a promise, and returns a plain value."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        done = self.send("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"]["exception"].get("description", str(done)))
        return done["result"].get("value")

    def wait(self, condition: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            if self.evaluate(f"Boolean({condition})"):
                return
            time.sleep(0.1)
        raise TimeoutError(
            f"{condition} did not become true; the page says: {self.evaluate('document.body.innerText')}"
        )

    def choose(self, field: str, *files: Path) -> None:
        """Puts files into a file field, as a user does in its dialog."""
        found = self.send("Runtime.evaluate", expression=f"document.querySelector('{field}')")["result"]["objectId"]
        self.send("DOM.setFileInputFiles", files=[str(file.resolve()) for file in files], objectId=found)

    def drop(self, *files: Path) -> None:
        """Drags files over the page and drops them in its middle, as from a file manager."""
        dragged = {"items": [], "files": [str(file.resolve()) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=200, y=200, data=dragged)

    def paste(self, file: Path) -> None:
        """Dispatches the event of pasting an image file; a headless browser has no clipboard of the system."""
        content = base64.b64encode(file.read_bytes()).decode()
        self.evaluate(
            f"const bytes = Uint8Array.from(atob('{content}'), (letter) => letter.charCodeAt(0));"
            f"const clipboardData = new DataTransfer();"
            f"clipboardData.items.add(new File([bytes], {json.dumps(file.name)}));"
            "document.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true })); 0"
        )

    def process(self, *files: Path) -> None:
        """Gives images to the page and waits until all are done."""
        done = self.evaluate("page.lastKey") + len(files)
        self.choose("#files", *files)
        self.wait(f"page.lastKey >= {done} && !page.busy")

    def download(self, button: str, folder: Path) -> Path:
        """Clicks a button and returns the file that it saves."""
        folder.mkdir(parents=True, exist_ok=True)
        before = set(folder.iterdir())
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder.resolve()))
        self.evaluate(f"document.querySelector('{button}').click()")
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            finished = [file for file in set(folder.iterdir()) - before if file.suffix == ".png"]
            if finished and not self.evaluate("page.busy"):
                return finished[0]
            time.sleep(0.1)
        raise TimeoutError(f"{button} saved nothing; the page says: {self.evaluate('document.body.innerText')}")

    def requests(self) -> list[str]:
        """Addresses that the page and its workers have requested."""
        self.evaluate("0")
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [request["request"]["url"] for request in sent]

    def problems(self) -> list[str]:
        """Uncaught exceptions, and errors in the console."""
        self.evaluate("0")
        thrown = [event["params"] for event in self.events if event["method"] == "Runtime.exceptionThrown"]
        logged = [event["params"]["entry"] for event in self.events if event["method"] == "Log.entryAdded"]
        texts = [one["exceptionDetails"].get("exception", {}).get("description", "exception") for one in thrown]
        return texts + [entry["text"] for entry in logged if entry["level"] == "error"]

    def _note(self, event: dict[str, Any]) -> None:
        if "method" not in event:
            return  # the answer to a command that nobody waited for
        self.events.append(event)
        if event["method"] == "Target.attachedToTarget":  # a worker: its requests count as well
            session = event["params"]["sessionId"]
            for domain in ("Network", "Runtime"):
                self._last += 1
                message = {"id": self._last, "method": f"{domain}.enable", "params": {}, "sessionId": session}
                os.write(self._commands, json.dumps(message).encode() + b"\0")

    def _read(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._answers, 1 << 20) if ready else b""
            if not part:
                raise TimeoutError("Chromium does not answer")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Starts Chromium with an empty profile.

    Yields:
        A tab.
    """
    assert CHROMIUM is not None
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()
    command = [CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}"]
    if os.geteuid() == 0:  # Chromium refuses to run its sandbox as root
        command.append("--no-sandbox")
    redirected = [sys.executable, "-c", _REDIRECT, str(to_browser), str(from_browser), *command]
    process = subprocess.Popen(
        redirected, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Browser(commands, answers)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(commands)
        os.close(answers)
