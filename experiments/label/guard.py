"""Checks that a request comes from the page of this server: token, host, origin, kind and size."""

import hmac
import secrets
from dataclasses import dataclass, field

from werkzeug.exceptions import (
    Forbidden,
    LengthRequired,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from werkzeug.wrappers import Request

#: Largest body of a request in bytes; a long stroke takes a few hundred thousand.
MAX_BODY = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The address of the server and its secret.

    A web page of another site can send requests to this machine. It cannot read the token, its requests carry its own
    ``Origin``, and a name that it points at this machine stands in ``Host``.

    Args:
        port: on 127.0.0.1.
        token: first part of every path.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def path_inside(self, request: Request) -> str:
        """Checks a request and returns its path behind the token.

        Raises:
            HTTPException: 403 for a foreign host, origin or token; 404, 405, 411, 413 or 415 for other faults.
        """
        hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        if request.headers.get("Host") not in hosts:
            raise Forbidden("this server answers under 127.0.0.1 and localhost only")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            raise Forbidden("requests of other sites are refused")
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Forbidden("requests of other sites are refused")
        token, slash, path = request.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise Forbidden("wrong token: open the address that the command printed")
        if not slash:
            raise NotFound
        if request.method == "POST":
            _check_body(request, origin)
        elif request.method != "GET":
            raise MethodNotAllowed(["GET", "POST"])
        return path


def _check_body(request: Request, origin: str | None) -> None:
    if origin is None:
        raise Forbidden("a request that changes something needs an Origin")
    if request.content_length is None:
        raise LengthRequired
    if request.content_length > MAX_BODY:
        raise RequestEntityTooLarge(f"the body may have {MAX_BODY} bytes")
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("the body must be application/json")
