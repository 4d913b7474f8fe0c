"""A server of the label page in this process."""

import json
import socket
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.label.application import Application
from experiments.label.folder import LabelFolder
from experiments.label.guard import Guard
from experiments.label.rounds import Rounds
from experiments.label.server import Server
from experiments.label.session import Session


class Site:
    """A running server of a folder with three images of noise.

    Args:
        root: the folder.
        size: width and height of the images.
    """

    def __init__(self, root: Path, size: tuple[int, int] = (48, 32)) -> None:
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"p{number}.png")
        self.size = size
        self.folder = LabelFolder(root)
        self.folder.__enter__()
        self.stop = threading.Event()
        self.server = Server(lambda environ, start: self.application(environ, start))
        self.guard = Guard(port=self.server.port)
        rounds = Rounds(self.folder, automatic=False)
        self.application = Application(Session(self.folder), rounds, self.guard, commands=lambda: ["x"], stop=self.stop)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends the server and releases the folder."""
        self.server.shutdown()
        self.server.server_close()
        self.folder.__exit__()

    def ask(
        self, path: str, content: Any = None, *, token: str | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Sends a request, a POST with ``content`` as JSON, and returns status, body and headers of the answer."""
        host = f"127.0.0.1:{self.server.port}"
        sent = {"Host": host} | ({"Origin": f"http://{host}"} if content is not None else {})
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        body = None if content is None else json.dumps(content).encode()
        sent |= {} if body is None else {"Content-Type": headers.get("Content_Type", "application/json")}
        target = f"/{self.guard.token if token is None else token}/{path}"
        connection.request("GET" if body is None else "POST", target, body, sent)
        answer = connection.getresponse()
        result = answer.status, answer.read(), dict(answer.getheaders())
        connection.close()
        return result

    def send(self, data: bytes) -> bytes:
        """Sends raw bytes and returns all that comes back."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as connection:
            connection.sendall(data)
            return connection.makefile("rb").read()
