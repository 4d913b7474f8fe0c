"""Measures the server of ``label``: how fast it answers strokes, and how it stands a large folder.

    python -m experiments.benchmarks.label_server answers IMAGES [--side 512] [--images 10] [--strokes 4]
    python -m experiments.benchmarks.label_server folder IMAGE [--count 2000]

``answers`` starts the real command on copies of images, reduced to a longest side, and draws strokes that snap, as the
page does: the time is that from request to answer; the processor time tells what it would be on an idle machine.
``folder`` starts it on copies of one image, with different bytes, and opens many of them: it prints the time to the
first answer with the whole list, and the memory of the server meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from callbacks.output_file import save_jpeg
from datamodules.io.image import read_image

_PAGE = "page-of-the-benchmark"
_OPENED, _MEASURED = 60, 3  # images that are opened one after the other, and measurements of memory meanwhile


class Client:
    """Requests to a running server.

    Args:
        address: that it has printed.
        process: its number.
    """

    def __init__(self, address: str, process: int) -> None:
        self._place = urlsplit(address)
        self.process = process

    def ask(self, path: str, content: dict[str, Any] | None = None) -> bytes:
        """Returns the body of the answer.

        Raises:
            RuntimeError: if the server refuses the request.
        """
        host = self._place.netloc
        connection = HTTPConnection(host, timeout=600)
        body = None if content is None else json.dumps(content | {"page": _PAGE}).encode()
        headers = {"Origin": f"http://{host}", "Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", f"{self._place.path}{path}", body, headers)
        answer = connection.getresponse()
        result = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {result.decode(errors='replace')}")
        return result

    def memory(self) -> float:
        """Resident memory of the server in MB of 10^6 bytes (Linux only)."""
        pages = int(Path(f"/proc/{self.process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def work(self) -> float:
        """Processor time of the server in seconds, of all its threads (Linux only)."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str]) -> int:
    """Prints the measurements."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.label_server", description="The server of label.")
    commands = parser.add_subparsers(dest="command", required=True)
    answers = commands.add_parser("answers", help="time of answers to strokes")
    answers.add_argument("path", type=Path, help="folder of images")
    answers.add_argument("--side", type=int, default=512, help="longest side of the images")
    answers.add_argument("--images", type=int, default=10, help="number of images, evenly spaced")
    answers.add_argument("--strokes", type=int, default=4, help="per image")
    folder = commands.add_parser("folder", help="start and memory with many images")
    folder.add_argument("path", type=Path, help="a JPEG image")
    folder.add_argument("--count", type=int, default=2000, help="number of copies")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        if options.command == "answers":
            _print_answers(options, Path(place))
        else:
            _print_folder(options, Path(place))
    return 0


@contextmanager
def server(folder: Path) -> Iterator[Client]:
    """Starts the command on a folder."""
    run = [sys.executable, str(Path(__file__).parents[1] / "run.py"), "--task", "segment"]
    words = ["label", str(folder), "--no_browser", "--no_training"]
    with subprocess.Popen([*run, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or []:
                if "the page is at " in line:
                    yield Client(line.split("the page is at ")[1].split()[0], process.pid)
                    return
            raise RuntimeError("the server did not start")
        finally:
            process.terminate()


def _print_answers(options: argparse.Namespace, place: Path) -> None:
    paths = sorted(path for path in options.path.iterdir() if path.is_file())
    paths = paths[:: max(1, len(paths) // options.images)][: options.images]
    for path in paths:
        image = read_image(path)
        scale = options.side / max(image.shape)
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        save_jpeg(place / f"{path.stem}.jpg", small)
    times: list[float] = []
    works: list[float] = []
    with server(place) as client:
        for number in range(len(paths)):
            facts = json.loads(client.ask(f"api/open/{number}"))
            for index in range(options.strokes):
                request = _stroke(index, facts["width"], facts["height"])
                start, worked = time.perf_counter(), client.work()
                client.ask(f"api/edit/{number}", request)
                times.append(time.perf_counter() - start)
                works.append(client.work() - worked)
    print(f"{len(times)} strokes on {len(paths)} images of {options.side} px; load {os.getloadavg()[0]:.1f}")
    for name, values in (("time to the answer", times), ("processor time of the server", works)):
        middle, late = 1000 * np.percentile(values, (50, 95))
        print(
            f"  {name}: {middle:.0f} ms (median), {late:.0f} ms (95th percentile), {1000 * max(values):.0f} ms at most"
        )


def _stroke(index: int, width: int, height: int) -> dict[str, Any]:
    """A long stroke through the middle first, then shorter ones beside it; every other one takes away."""
    x, y = width * (0.25 + 0.1 * index), height * (0.5 + 0.12 * index)
    length = width * (0.5 if index == 0 else 0.15)
    points = [[x + length * step / 40, y] for step in range(41)]
    radius = 20 if index == 0 else 10
    return {"tool": "brush", "class": 1, "points": points, "radius": radius, "snap": True, "erase": index % 2 == 1}


def _print_folder(options: argparse.Namespace, place: Path) -> None:
    content = options.path.read_bytes()
    for number in range(options.count):  # bytes behind the end of a JPEG are ignored
        (place / f"image-{number:05}.jpg").write_bytes(content + str(number).encode())
    start = time.perf_counter()
    with server(place) as client:
        listed = time.perf_counter() - start
        items = json.loads(client.ask("api/items/0"))["items"]
        complete, work = time.perf_counter() - start, client.work()
        memory = []
        for index in range(_OPENED + 1):
            number = index * (len(items) - 1) // _OPENED
            for what in ("open", "image", "labels"):
                client.ask(f"api/{what}/{number}")
            if index % (_OPENED // _MEASURED) == 0:
                memory.append(round(client.memory()))
    print(
        f"{len(items)} images: address after {listed:.1f} s, list after {complete:.1f} s, of which {work:.1f} s of "
        f"processor time; load {os.getloadavg()[0]:.1f}"
    )
    print(f"  memory with 1 to {_OPENED + 1} images opened: {', '.join(map(str, memory))} MB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
