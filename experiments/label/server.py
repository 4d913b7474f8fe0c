"""The HTTP server: threads with a bounded number and time, on 127.0.0.1."""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR, socket
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

#: Seconds until a connection is closed: without any data, and in all.
IDLE_SECONDS, TOTAL_SECONDS = 10.0, 60.0
#: Connections that are served at once; others wait in the system's queue.
MAX_CONNECTIONS = 32


class Handler(WSGIRequestHandler):
    """Serves one connection and closes it when its time is over, however slowly data arrives."""

    timeout = IDLE_SECONDS

    def setup(self) -> None:
        """Starts the clock."""
        self._clock = threading.Timer(TOTAL_SECONDS, _close, [self.request])
        self._clock.daemon = True
        self._clock.start()
        super().setup()

    def finish(self) -> None:
        """Stops the clock."""
        self._clock.cancel()
        with suppress(OSError):  # the connection was closed
            super().finish()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Prints nothing; the page reports what matters."""

    def version_string(self) -> str:
        """Names the program and no version."""
        return "darkroom"


class Server(ThreadedWSGIServer):
    """Serves a WSGI application on 127.0.0.1.

    Args:
        application: the application.
        port: 0 chooses a free one.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, application: Callable[..., Any], port: int = 0) -> None:
        super().__init__("127.0.0.1", port, application, handler=Handler)
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Waits for a free slot, then serves in a thread."""
        self._slots.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves a connection and frees its slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores connections that were closed by the other side or by their clock, and prints other errors."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _close(connection: socket) -> None:
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)
