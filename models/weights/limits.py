"""Limits on what a file of weights may expand to, checked before its values are used.

A few kilobytes can describe terabytes: compressed parts of an archive, lists that contain one list many times, tensors
that repeat a single number by strides of zero.
"""

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

#: Largest number of values and deepest nesting of what a file contains, shared parts counted at every occurrence.
MAX_VALUES, MAX_DEPTH = 1_000_000, 64


def archive_fault(path: Path) -> str | None:
    """Describes why an archive written by ``torch.save`` cannot be one, or returns ``None``.

    ``torch.save`` does not compress, so all parts together are smaller than the file. Any exception of the reader means
    that the directory of the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except Exception as error:  # zipfile raises many types for damaged directories, struct.error among them
        return f"{path.stat().st_size} bytes, {error or type(error).__name__}"
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.compress_size != part.file_size:
            return f"{part.filename!r} is compressed, which torch.save never does"
        if part.external_attr & 0x10:  # torch would return uninitialized memory
            return f"{part.filename!r} is marked as a folder"
    if sum(part.file_size for part in parts) > path.stat().st_size:
        return "its parts overlap"
    return None


def is_archive(path: Path) -> bool:
    """Whether torch reads the file as a ZIP archive (and not in its format before version 1.6)."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def values_fault(content: object, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> str | None:
    """Describes why nested values are too many, too deep or impossible, or returns ``None``.

    Args:
        content: plain values and tensors in mappings and sequences; mappings and sequences may be shared.
        max_values: limit on the number of values; shared parts count at every occurrence.
        max_depth: limit on the nesting.

    >>> row = [0] * 10
    >>> for _ in range(9):
    ...     row = [row] * 10
    >>> values_fault(row)
    'it expands to more than 1000000 values'
    """
    sizes: dict[int, tuple[int, int]] = {}  # values and depth of finished containers by id
    active: set[int] = set()
    stack: list[tuple[Any, bool]] = [(content, False)]
    while stack:  # iterative: a file can nest deeper than Python's recursion limit
        value, finished = stack.pop()
        if isinstance(value, Tensor):
            if fault := _tensor_fault(value):
                return fault
            continue
        children = _children(value)
        if children is None or id(value) in sizes:
            continue
        if not finished:
            if id(value) in active:
                return "a value contains itself"
            active.add(id(value))
            stack.append((value, True))
            stack += [(child, False) for child in children]
            continue
        active.discard(id(value))
        measured = [sizes.get(id(child), (1, 0)) for child in children]
        count, depth = 1 + sum(size for size, _ in measured), 1 + max((d for _, d in measured), default=0)
        if count > max_values:
            return f"it expands to more than {max_values} values"
        if depth > max_depth:
            return f"it is nested more than {max_depth} levels deep"
        sizes[id(value)] = count, depth
    return None


def _children(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return None


def _tensor_fault(tensor: Tensor) -> str | None:
    if tensor.layout != torch.strided or tensor.is_meta:
        return f"a tensor of layout {tensor.layout} on {tensor.device} is not supported"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"a tensor of shape {tuple(tensor.shape)} has only {tensor.untyped_storage().nbytes()} bytes"
    return None
