"""The server of the label page answers its own page and nobody else, in bounded time and memory."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import experiments.label.rounds as rounds_module
import experiments.label.server as server_module
from experiments.label.folder import LabelFolder
from experiments.label.guard import MAX_BODY
from experiments.label.training_set import TrainingSet, write_training_set
from tests.helpers.label_site import Site

PAGE = "page-of-the-test"
STROKE = {"page": PAGE, "tool": "brush", "class": 1, "points": [[10, 10]], "radius": 5}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_page_lists_and_edits_images(site: Site) -> None:
    assert b"<title>Darkroom: label</title>" in site.ask("")[1]
    items = json.loads(site.ask("api/items/0")[1])
    assert [row[:3] for row in items["items"]] == [[n, f"p{n}.png", "none"] for n in range(3)]
    status, body, _ = site.ask("api/edit/0", STROKE)
    answer = json.loads(body)
    assert (status, answer["state"], answer["undo"]) == (200, "partly", 1)
    patch = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["patch"]["png"]))))
    assert patch.shape == (answer["patch"]["height"], answer["patch"]["width"])
    labels = np.asarray(Image.open(io.BytesIO(site.ask("api/labels/0")[1])))
    assert labels[10, 10] == patch[10 - answer["patch"]["y"], 10 - answer["patch"]["x"]] == 1
    changed = json.loads(site.ask(f"api/items/{items['revision']}")[1])["items"]
    assert [row[:3] for row in changed] == [[0, "p0.png", "partly"]]


def test_every_file_that_the_page_names_is_served_with_its_type(site: Site) -> None:
    for name in ("style.css", "main.js", "controls.js", "editor.js", "keys.js", "status.js", "view.js"):
        status, _, headers = site.ask(name)
        assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert headers["Content-Type"].startswith("text/css" if name.endswith("css") else "text/javascript")
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("token", ["", "wrong", "a" * 32, "%00"])
def test_wrong_token_is_refused(site: Site, token: str) -> None:
    assert site.ask("api/folder", token=token)[0] == 403
    assert site.ask("api/edit/0", STROKE, token=token)[0] == 403
    assert not (site.folder.masks).exists()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "0.0.0.0"])
def test_foreign_host_is_refused(site: Site, host: str) -> None:
    assert site.ask("api/folder", Host=host)[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_foreign_origin_is_refused(site: Site, origin: str) -> None:
    assert site.ask("api/folder", Origin=origin)[0] == 403
    assert site.ask("api/edit/0", STROKE, Origin=origin)[0] == 403


def test_change_without_origin_or_as_a_form_is_refused(site: Site) -> None:
    head = f"POST /{site.guard.token}/api/edit/0 HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\n"
    assert b" 403 " in site.send(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())[:20]
    assert site.ask("api/edit/0", STROKE, Content_Type="text/plain")[0] == 415
    assert site.ask("api/folder", Sec_Fetch_Site="cross-site")[0] == 403


@pytest.mark.parametrize("kind", ["", "api/image/", "api/labels/", "api/open/", "api/items/", "api/next/"])
@pytest.mark.parametrize("climb", ["../", "..%2f", "%2e%2e/", "..%5c", "....//", "/"])
def test_path_never_leaves_the_page(site: Site, kind: str, climb: str) -> None:
    (site.folder.root / "secret.txt").write_text("secret")
    for name in ("secret.txt", "p0.png", "etc/passwd", "label.py"):
        status, body, _ = site.ask(f"{kind}{climb * 3}{name}")
        assert status in (403, 404, 308)
        assert b"secret" not in body.replace(b"secret.txt", b"")


@pytest.mark.parametrize(
    "change",
    [
        {"tool": "../brush"},
        {"tool": None},
        {"class": "../1"},
        {"class": 2},
        {"class": True},
        {"points": "../../etc/passwd"},
        {"points": [["..", ".."]]},
        {"points": [[1e300, 0]]},
        {"points": [[0, 0]] * 20_001},
        {"points": []},
        {"radius": "../"},
        {"radius": -1},
        {"radius": 1e9},
    ],
)
def test_malformed_edit_is_refused_and_changes_nothing(site: Site, change: dict[str, Any]) -> None:
    status, body, _ = site.ask("api/edit/0", STROKE | change)
    assert status == 400, body
    assert not site.folder.masks.exists()


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("api/edit/0", STROKE | {"page": "../../../etc/passwd"}, 409),
        ("api/edit/0", STROKE | {"page": ".."}, 409),
        ("api/hold", {"page": ".."}, 400),
        ("api/dismiss/..", {"page": PAGE}, 404),
        ("api/dismiss/0", {"page": "../../../etc", "dismissed": ".."}, 409),
        ("api/rounds", {"page": PAGE, "action": "../start"}, 400),
        ("api/quit", {"page": "../../../etc"}, 409),
        ("api/items/..", None, 404),
        ("api/next/..", None, 404),
    ],
)
def test_climbing_parameter_is_refused(site: Site, path: str, content: dict[str, Any] | None, status: int) -> None:
    assert site.ask("api/hold", {"page": PAGE})[0] == 200
    assert site.ask(path, content)[0] == status
    assert not site.stop.is_set()
    assert not site.folder.masks.exists()


@pytest.mark.parametrize("number", ["-1", "3", "99999999999999999999", "1.5", "..", "p0.png"])
def test_image_that_does_not_exist_is_not_found(site: Site, number: str) -> None:
    assert site.ask(f"api/image/{number}")[0] == 404
    assert site.ask(f"api/edit/{number}", STROKE)[0] == 404


def test_huge_body_is_refused_unread(site: Site) -> None:
    host = f"127.0.0.1:{site.server.port}"
    head = (
        f"POST /{site.guard.token}/api/edit/0 HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        "Content-Type: application/json\r\n"
    )
    assert b" 413 " in site.send(f"{head}Content-Length: {1 << 30}\r\n\r\n".encode())[:20]
    assert b" 413 " in site.send(f"{head}Content-Length: {MAX_BODY + 1}\r\n\r\n".encode())[:20]
    assert b" 411 " in site.send(f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode())[:20]
    assert site.ask("api/folder")[0] == 200


def test_slow_request_is_closed_and_others_are_served(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte at a time keeps a connection busy; it is closed after a time in all."""
    monkeypatch.setattr(server_module, "TOTAL_SECONDS", 1.0)
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        ended = False
        for _ in range(300):
            assert site.ask("api/folder")[0] == 200
            try:
                connection.sendall(b"x")
                connection.settimeout(0.1)
                ended = connection.recv(1000) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
            time.sleep(0.05)
    assert ended


def test_second_page_is_read_only_until_the_first_leaves(site: Site) -> None:
    other = STROKE | {"page": "another-page"}
    assert json.loads(site.ask("api/hold", {"page": PAGE})[1]) == {"holder": None}
    assert json.loads(site.ask("api/hold", {"page": "another-page"})[1]) == {
        "holder": "another tab or window of this browser"
    }
    status, body, _ = site.ask("api/edit/0", other)
    assert (status, "another tab" in json.loads(body)["error"]) == (409, True)
    site.ask("api/leave", {"page": PAGE})
    assert site.ask("api/edit/0", other)[0] == 200
    assert site.ask("api/edit/0", STROKE)[0] == 409


def test_damaged_image_is_reported_by_name(site: Site) -> None:
    (site.folder.root / "p1.png").write_bytes(b"no image")
    status, body, _ = site.ask("api/open/1")
    assert status == 500
    assert "p1.png" in json.loads(body)["error"]


def test_page_can_end_the_server(site: Site) -> None:
    assert json.loads(site.ask("api/quit", {"page": PAGE})[1]) == {"commands": ["x"]}
    assert site.stop.is_set()


def test_page_answers_while_the_images_of_a_round_are_copied(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    copied, released = [], threading.Event()

    def hold(folder: LabelFolder, target: Path, *, stop: Callable[[], bool]) -> TrainingSet:
        assert released.wait(60)
        copied.append(stop())
        return write_training_set(folder, target, stop=stop)

    monkeypatch.setattr(rounds_module, "write_training_set", hold)
    for number in range(2):
        assert site.ask(f"api/edit/{number}", STROKE | {"tool": "finish"})[0] == 200
    started = json.loads(site.ask("api/rounds", {"page": PAGE, "action": "start"})[1])
    assert started["rounds"]["phase"] == "preparing"
    assert json.loads(site.ask("api/items/0")[1])["rounds"]["phase"] == "preparing"
    site.ask("api/rounds", {"page": PAGE, "action": "start"})  # nothing: it runs
    site.ask("api/rounds", {"page": PAGE, "action": "stop"})
    released.set()
    end = time.monotonic() + 60
    while json.loads(site.ask("api/items/0")[1])["rounds"]["phase"] == "preparing":
        assert time.monotonic() < end
    assert copied == [True]
    status = json.loads(site.ask("api/items/0")[1])["rounds"]
    assert (status["phase"], status["round"]) == ("waiting", 0)
    assert not (site.folder.state_folder / "runs").exists()
