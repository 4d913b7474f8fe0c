"""The web page, as far as it can be checked without a browser."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from experiments.export.ort_web import OrtWeb
from experiments.export.page import PAGE_SCRIPTS, WORKER_SCRIPTS, build_page, files

INFO = {"task": "segment", "title": "Cut out: <car> & co", "classes": ["</script><b>"], "network": "UNet"}
MODEL = bytes(range(256)) * 20


class Parts(HTMLParser):
    """Collects the content of script and style elements, all attributes, and the policy."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._inside = dict(attrs).get("id") or tag if tag in ("script", "style", "title") else ""
        if self._inside:
            self.texts[self._inside] = ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] += data


@pytest.fixture(scope="module")
def page() -> str:
    return build_page(MODEL, OrtWeb(script=b"export default 1", wasm=b"\0asm"), INFO)


@pytest.fixture(scope="module")
def parts(page: str) -> Parts:
    parts = Parts()
    parts.feed(page)
    return parts


def test_everything_is_inside(page: str, parts: Parts) -> None:
    assert "{{" not in page
    for name, content in {"model": MODEL, "ort": b"export default 1", "wasm": b"\0asm"}.items():
        assert gzip.decompress(base64.b64decode(parts.texts[name])) == content
    assert json.loads(parts.texts["info"]) == INFO
    assert parts.texts["title"] == INFO["title"]
    assert set(parts.texts) == {"title", "style", "worker-source", "info", "ort", "wasm", "model", "script"}


def test_nothing_is_loaded_or_linked(page: str, parts: Parts) -> None:
    assert not [tag for tag, name, _ in parts.attributes if name in ("href", "src", "action", "srcset")]
    assert not re.findall(r"https?://", page)
    assert not [name for _, name, _ in parts.attributes if name.startswith("on") or name == "style"]  # CSP refuses them


def test_the_policy_allows_the_scripts_inside_and_no_connection(parts: Parts) -> None:
    (policy,) = (value for tag, name, value in parts.attributes if tag == "meta" and "default-src" in value)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["connect-src"] == rules["form-action"] == "'none'"
    assert "unsafe-inline" not in policy
    for rule, part in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(parts.texts[part].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[rule].split()


def test_every_file_of_the_folder_is_used() -> None:
    names = {file.name for file in files("experiments.export").joinpath("page").iterdir()}
    assert names == {*PAGE_SCRIPTS, *WORKER_SCRIPTS, "page.html", "page.css"}


def test_every_element_that_a_script_names_exists(page: str, parts: Parts) -> None:
    ids = {value for _, name, value in parts.attributes if name == "id"}
    made = {"share-"}
    named = set(re.findall(r'(?:element|textOf)\("([\w-]+)"\)', parts.texts["script"])) - made
    assert len(named) > 20
    assert named <= ids


def test_fields_have_labels(parts: Parts, page: str) -> None:
    labelled = {value for tag, name, value in parts.attributes if tag == "label" and name == "for"}
    named = set(re.findall(r"<label[^>]*>(?:(?!</label>).)*?<input[^>]*id=\"([\w-]+)\"", page, re.S))
    named |= set(re.findall(r"<input[^>]*id=\"([\w-]+)\"[^>]*aria-label=", page))
    fields = re.findall(r"<input[^>]*\bid=\"([\w-]+)\"", page)
    assert len(fields) >= 8
    assert [field for field in fields if field not in labelled | named] == []
