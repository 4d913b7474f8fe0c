"""Builds the web page: one file with styles, scripts, ONNX Runtime and the network inside."""

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from experiments.export.ort_web import OrtWeb

#: Scripts of the worker, which computes, in the order in which they are joined.
WORKER_SCRIPTS = ("failure.js", "resize.js", "read.js", "png.js", "tiles.js", "matting.js", "network.js", "worker.js")
#: Scripts of the page, which shows and asks.
PAGE_SCRIPTS = ("engine.js", "camera.js", "views.js", "page.js")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def build_page(model: bytes, ort_web: OrtWeb, info: Mapping[str, Any]) -> str:
    """Fills the template.

    Args:
        model: an ONNX file.
        ort_web: ONNX Runtime.
        info: what the scripts need to know about the network, as ``page_info`` returns it; plain values.

    Returns:
        HTML. Its Content-Security-Policy allows no connection, and no script or style other than those inside.
    """
    style = _source("page.css")
    script = "\n".join(_source(name) for name in PAGE_SCRIPTS)
    worker = "\n".join(_source(name) for name in WORKER_SCRIPTS)
    values = {
        "policy": content_security_policy(script=script, style=style),
        "title": html.escape(str(info["title"])),
        "style": style,
        "script": script,
        "worker": worker,
        # "<" would end the element that holds the text
        "info": json.dumps(dict(info)).replace("<", "\\u003c"),
        "ort": packed(ort_web.script),
        "wasm": packed(ort_web.wasm),
        "model": packed(model),
    }
    return _PLACEHOLDER.sub(lambda found: values[found[1]], _source("page.html"))


def content_security_policy(*, script: str, style: str) -> str:
    """Returns the policy: no connections, and only the given script and style, by their hashes.

    ``blob:`` allows the worker and ONNX Runtime, which the script makes from the text inside the page; a page that was
    opened from a file has no other way to start a worker. A worker made so has the same policy.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}' blob: 'wasm-unsafe-eval'",
            f"style-src '{_hash(style)}'",
            "worker-src blob:",
            "img-src blob:",
            "connect-src 'none'",
            "form-action 'none'",
            "base-uri 'none'",
        )
    )


def packed(content: bytes) -> str:
    """Compresses by gzip and encodes as base64; the page does the reverse."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _source(name: str) -> str:
    return files("experiments.export").joinpath("page", name).read_text(encoding="utf-8")
