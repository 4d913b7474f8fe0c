"""The WSGI application: files of the page, images and labels by number, and edits."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from werkzeug.exceptions import BadRequest, Conflict, HTTPException, InternalServerError, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from datamodules.errors import DataError
from experiments.label.folder import Item
from experiments.label.guard import Guard
from experiments.label.label_maps import UNKNOWN, class_colors
from experiments.label.open_image import SUGGESTED
from experiments.label.rounds import ACTIONS, Rounds
from experiments.label.session import ReadOnlyError, Session
from experiments.label.tools import RequestError
from experiments.label.views import facts, jpeg, patch, png, reduced

PAGE = Path(__file__).with_name("page")
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Application:
    """Answers the requests of the page.

    Args:
        session: the folder and its images.
        rounds: the training.
        guard: checks where requests come from.
        commands: returns what to type after labeling.
        stop: ends the server.
    """

    def __init__(
        self,
        session: Session,
        rounds: Rounds,
        guard: Guard,
        *,
        commands: Callable[[], list[str]],
        stop: threading.Event,
    ) -> None:
        self._session, self._rounds, self._guard = session, rounds, guard
        self._commands, self._stop = commands, stop
        self._files = {path.name: path for path in PAGE.iterdir() if path.suffix in _KINDS}
        get, post = ["GET"], ["POST"]
        self._routes = Map(
            [
                Rule("/", endpoint=self._index, methods=get),
                Rule("/<string:name>", endpoint=self._file, methods=get),
                Rule("/api/folder", endpoint=self._folder, methods=get),
                Rule("/api/items/<int:since>", endpoint=self._items, methods=get),
                Rule("/api/open/<int:number>", endpoint=self._open, methods=get),
                Rule("/api/image/<int:number>", endpoint=self._image, methods=get),
                Rule("/api/labels/<int:number>", endpoint=self._labels, methods=get),
                Rule("/api/next/<int(signed=True):after>", endpoint=self._next, methods=get),
                Rule("/api/commands", endpoint=self._next_commands, methods=get),
                Rule("/api/hold", endpoint=self._hold, methods=post),
                Rule("/api/leave", endpoint=self._leave, methods=post),
                Rule("/api/edit/<int:number>", endpoint=self._edit, methods=post),
                Rule("/api/dismiss/<int:number>", endpoint=self._dismiss, methods=post),
                Rule("/api/rounds", endpoint=self._round, methods=post),
                Rule("/api/quit", endpoint=self._quit, methods=post),
            ]
        )

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers one request; see PEP 3333."""
        request = Request(environ)
        try:
            path = self._guard.path_inside(request)
            routes = self._routes.bind(server_name="127.0.0.1", path_info=f"/{path}", default_method=request.method)
            endpoint, values = routes.match()
            response = endpoint(request, **values) if request.method == "POST" else endpoint(**values)
        except HTTPException as error:
            response = _error(error)
        except ReadOnlyError as error:
            response = _error(Conflict(str(error)))
        except RequestError as error:
            response = _error(BadRequest(str(error)))
        except LookupError as error:
            response = _error(NotFound(str(error)))
        except (DataError, OSError) as error:
            response = _error(InternalServerError(str(error)))
        for name, value in _HEADERS.items():
            response.headers[name] = value
        body: Iterable[bytes] = response(environ, start_response)
        return body

    def _index(self) -> Response:
        return self._file("index.html")

    def _file(self, name: str) -> Response:
        if name not in self._files:
            raise NotFound
        path = self._files[name]
        return Response(path.read_bytes(), content_type=_KINDS[path.suffix])

    def _folder(self) -> Response:
        folder = self._session.folder
        return _json(
            {
                "name": folder.root.resolve().name,
                "masks": str(folder.masks),
                "classes": folder.classes,
                "colors": class_colors(len(folder.classes)),
                "unknown": UNKNOWN,
                "suggested": SUGGESTED,
                "count": len(folder.items),
            }
        )

    def _items(self, since: int) -> Response:
        self._session.refresh()
        folder = self._session.folder
        revision = folder.revision
        changed = folder.items if since == 0 else [item for item in folder.items if item.revision > since]
        rows = [[item.number, item.name, item.state, _shown_doubt(item), item.held_out] for item in changed]
        return _json({"revision": revision, "items": rows, "rounds": self._rounds.status()})

    def _open(self, number: int) -> Response:
        return _json(facts(self._session.open(number)))

    def _image(self, number: int) -> Response:
        return Response(jpeg(self._session.open(number).pixels), content_type="image/jpeg")

    def _labels(self, number: int) -> Response:
        image = self._session.open(number)
        return Response(png(reduced(image.displayed)), content_type="image/png")

    def _next(self, after: int) -> Response:
        item = self._session.folder.next_item(self._session.item(after) if after >= 0 else None)
        return _json({"number": None if item is None else item.number})

    def _next_commands(self) -> Response:
        return _json({"commands": self._commands()})

    def _hold(self, request: Request) -> Response:
        page = _body(request).get("page")
        if not isinstance(page, str) or not 8 <= len(page) <= 64:
            raise BadRequest("page must be a text of 8 to 64 characters")
        return _json({"holder": self._session.hold(page)})

    def _leave(self, request: Request) -> Response:
        self._session.leave(str(_body(request).get("page")))
        return _json({})

    def _edit(self, request: Request, number: int) -> Response:
        image, rect = self._session.edit(number, _body(request))
        self._rounds.image_changed()
        return _json(facts(image) | patch(image, rect))

    def _dismiss(self, request: Request, number: int) -> Response:
        body = _body(request)
        self._session.require_hold(body.get("page"))
        image = self._session.dismiss(number, body.get("dismissed") is True)
        return _json(facts(image) | patch(image, (0, image.size[0], 0, image.size[1])))

    def _round(self, request: Request) -> Response:
        body = _body(request)
        self._session.require_hold(body.get("page"))
        if body.get("action") not in ACTIONS:
            raise BadRequest(f"action must be one of {', '.join(ACTIONS)}")
        self._rounds.act(body["action"])
        return _json({"rounds": self._rounds.status()})

    def _quit(self, request: Request) -> Response:
        self._session.require_hold(_body(request).get("page"))
        self._stop.set()
        return _json({"commands": self._commands()})


def _body(request: Request) -> Mapping[str, Any]:
    try:
        body = json.loads(request.get_data(cache=False))
    except ValueError as error:
        raise BadRequest("the body is no JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _json(content: Mapping[str, Any]) -> Response:
    return Response(json.dumps(content), content_type="application/json")


def _error(error: HTTPException) -> Response:
    content = json.dumps({"error": error.description or error.name})
    return Response(content, status=error.code or 500, content_type="application/json")


def _shown_doubt(item: Item) -> float | None:
    return None if item.doubt is None or item.state == "done" or item.dismissed else round(item.doubt, 4)
