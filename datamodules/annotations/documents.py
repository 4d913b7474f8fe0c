"""Reads annotation files with limits: a file from elsewhere must not cost more memory than its size suggests."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.parsers import expat

import yaml

from datamodules.errors import DataError

#: Bytes. The largest published file, COCO's ``instances_train2017.json``, has 0.45 GB.
MAX_JSON, MAX_XML, MAX_TEXT = 2_000_000_000, 4_000_000_000, 20_000_000
_MAX_XML_DEPTH = 32
_MAX_XML_TEXT = 100_000_000  # characters of the attributes of one element
_XML_BLOCK = 1 << 20

Start = Callable[[str, Mapping[str, str]], None]
End = Callable[[str, str], None]


def read_bytes(path: Path, limit: int) -> bytes:
    """Reads a whole file.

    Raises:
        DataError: if it cannot be read or has more than ``limit`` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > limit:
        raise DataError(f"{path}: has more than {limit // 1_000_000} MB, more than an annotation file needs")
    return content


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8.

    Raises:
        DataError: if it cannot be read or is no text.
    """
    try:
        return read_bytes(path, MAX_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8") from error


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: if it cannot be read, is no JSON, is nested too deep, or holds NaN or Infinity.
    """
    try:
        return json.loads(read_bytes(path, MAX_JSON), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise DataError(f"{path}: is nested too deep") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is no JSON ({error})") from error


def read_yaml(path: Path) -> Any:
    """Reads a small YAML file without aliases.

    Raises:
        DataError: if it cannot be read, is no YAML, or holds aliases, which can stand for any amount of data.
    """
    text = read_text(path)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise DataError(f"{path}: holds an alias (*name), which is not read: write out what it stands for")
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is no YAML ({' '.join(str(error).split())})") from error


def parse_xml(path: Path, start: Start, end: End) -> None:
    """Reads an XML file piece by piece.

    Args:
        path: the file.
        start: called with the name and the attributes of every element.
        end: called with the name of every element and the text in it.

    Raises:
        DataError: if it cannot be read, is no XML, declares a document type, whose entities can stand for any amount of
            text, or is nested too deep.
    """
    parser = expat.ParserCreate()
    texts: list[list[str]] = []

    def on_start(name: str, attributes: dict[str, str]) -> None:
        if len(texts) >= _MAX_XML_DEPTH:
            raise DataError(f"{path}: is nested more than {_MAX_XML_DEPTH} levels deep")
        if sum(map(len, attributes.values())) > _MAX_XML_TEXT:
            raise DataError(f"{path}: holds an element of more than {_MAX_XML_TEXT} characters")
        texts.append([])
        start(name, attributes)

    def on_end(name: str) -> None:
        end(name, "".join(texts.pop()).strip())

    def on_text(text: str) -> None:
        texts[-1].append(text)

    def on_doctype(*_: object) -> None:
        raise DataError(f"{path}: declares a document type, which annotation files do not need: remove it")

    parser.StartElementHandler, parser.EndElementHandler = on_start, on_end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = on_text, on_doctype
    try:
        if path.stat().st_size > MAX_XML:
            raise DataError(f"{path}: has more than {MAX_XML // 1_000_000} MB, more than an annotation file needs")
        with path.open("rb") as file:
            while block := file.read(_XML_BLOCK):
                parser.Parse(block, False)
            parser.Parse(b"", True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except expat.ExpatError as error:
        raise DataError(f"{path}: is no XML ({error})") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}")
