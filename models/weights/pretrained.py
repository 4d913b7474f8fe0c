"""Pretrained weights from a file, torch hub's cache, or a download."""

import hashlib
import logging
import os
import re
import socket
import threading
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.weights.limits import archive_fault, is_archive, values_fault

_log = logging.getLogger("darkroom")

#: Time-outs in seconds: for the start of a download, and for each further read.
ANSWER_SECONDS, READ_SECONDS = 8.0, 30.0


class WeightsError(ValueError):
    """Weights cannot be found, cannot be read, or do not fit the network; the message says what to do."""


def load_pretrained_(
    classifier: nn.Module, *, name: str, tensors: Collection[str], pretrained: str, option: str = "pretrained: PATH"
) -> str:
    """Loads weights into the feature layers of ``classifier``, in place.

    Args:
        classifier: a classifier of torchvision.
        name: its name in torchvision.
        tensors: names of its tensors to load. All others belong to the head: they keep their values, and are ignored
            in a file.
        pretrained: ``"none"`` for random weights; ``"imagenet"`` for torchvision's, from torch hub's cache or a
            download; ``"auto"`` for the same, with a warning and random weights if they are not available; or the path
            of a file with a state dict, plain or under ``"state_dict"`` or ``"params"``, with or without the prefixes
            ``module.`` (DataParallel, DDP) and ``features.``.
        option: option with which a user names a file, for the error message.

    Returns:
        Where the weights came from, for reports.

    Raises:
        WeightsError: the weights are not available, cannot be read, or do not fit.
    """
    if pretrained == "none":
        return "random weights"
    if pretrained in ("auto", "imagenet"):
        try:
            path = imagenet_file(name)
        except WeightsError as error:
            advice = f"{error}. Or name a file of yours ({option})"
            if pretrained == "imagenet":
                raise WeightsError(advice) from error
            _log.warning("TRAINING STARTS FROM RANDOM WEIGHTS, which lowers accuracy: %s", advice)
            return f"random weights (pretrained: auto found none for {name})"
        origin = f"ImageNet, {path.name}"
    else:
        path = _local_file(pretrained)
        origin = f"file {path.name}, sha256 {_digest(path)}"
    _copy_(classifier, read_state_dict(path), tensors=tensors, name=name, path=path)
    return origin


def _default_weights(name: str) -> Any:
    from torchvision.models import get_model_weights  # late: takes seconds, and inference has its weights

    return get_model_weights(name).DEFAULT


def imagenet_file(name: str) -> Path:
    """Returns the file of torchvision's default ImageNet weights in torch hub's cache, and downloads it if missing.

    Args:
        name: name of the classifier in torchvision.

    Raises:
        WeightsError: if it is neither in the cache nor can be downloaded.
    """
    weights = _default_weights(name)
    folder = Path(torch.hub.get_dir())
    path = folder / "checkpoints" / Path(urlparse(weights.url).path).name
    if path.is_file():
        return path
    if path.parts[0].startswith("~"):  # torch leaves the ~ of a user without a home folder as it is
        raise _unusable(name, path, "there is no home folder")
    try:
        _check_answer(weights.url)
        path.parent.mkdir(parents=True, exist_ok=True)
        checksum = re.search(r"-([0-9a-f]{8,})\.", path.name)
        with _read_timeout(READ_SECONDS):
            torch.hub.download_url_to_file(weights.url, str(path), checksum.group(1) if checksum else None)
    except PermissionError as error:
        raise _unusable(name, path, f"{path.parent} cannot be written to") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: the checksum is wrong
        raise WeightsError(
            f"no ImageNet weights for {name} ({error}): put {path.name} into {path.parent}, or let this machine reach "
            f"{weights.url}"
        ) from error
    return path


def _unusable(name: str, path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"no ImageNet weights for {name} ({reason}): set the environment variable TORCH_HOME to a folder that can be "
        f"written to; {path.name} is stored in its hub/checkpoints"
    )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name from a file without running code.

    Raises:
        WeightsError: if it cannot be read or holds no state dict.
    """
    fault: str | None = None
    stored: object = None
    try:
        if path.suffix == ".safetensors":
            stored = load_file(path)
        elif not (fault := archive_fault(path) if is_archive(path) else None):
            stored = torch.load(path, map_location="cpu", weights_only=True)
            fault = values_fault(stored)
    except UnpicklingError as error:  # torch's own message advises to run the code
        raise WeightsError(f"{path} cannot be read as weights: it holds other objects than tensors") from error
    except Exception as error:  # damaged files raise all kinds of exceptions
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path} cannot be read as weights ({type(error).__name__}: {reason})") from error
    if fault:
        raise WeightsError(f"{path} cannot be read as weights: {fault}")
    return find_state_dict(stored, path)


def find_state_dict(stored: object, path: Path) -> dict[str, Tensor]:
    """Returns the state dict in the content of a file, plain or under a usual key.

    Raises:
        WeightsError: if there is none.
    """
    for key in ("state_dict", "params_ema", "params"):  # Lightning; BasicSR, which prefers the average
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    if not isinstance(stored, dict) or not stored:
        raise WeightsError(f"{path} holds no state dict (tensors by name)")
    for key, value in stored.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path} holds no state dict: {key!r} is a {type(value).__name__}, not a tensor")
    return {key.removeprefix("module."): value for key, value in stored.items()}


def _copy_(classifier: nn.Module, given: dict[str, Tensor], *, tensors: Collection[str], name: str, path: Path) -> None:
    own = classifier.state_dict()
    wanted = {key: own[key] for key in own if key in tensors}
    given = _with_prefix(given, wanted)
    for key, tensor in wanted.items():
        if key not in given:
            if key.endswith("num_batches_tracked"):  # files older than PyTorch 0.4.1 lack these counters
                continue
            raise WeightsError(f"{path} does not fit {name}: it has no tensor {key!r}")
        found = given[key]
        if found.shape != tensor.shape or found.is_floating_point() != tensor.is_floating_point():
            raise WeightsError(
                f"{path} does not fit {name}: {key!r} is {_type_of(found)} and should be {_type_of(tensor)}"
            )
        if not found.isfinite().all():
            raise WeightsError(f"{path} is damaged: {key!r} contains NaN or infinity")
    for key in given:
        if key not in own:
            raise WeightsError(f"{path} does not fit {name}, which has no tensor {key!r}")
    with torch.no_grad():
        for key, tensor in wanted.items():
            if key in given:
                tensor.copy_(given[key])


def _with_prefix(given: dict[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Adds the common prefix, such as ``features.``, to names that lack it."""
    prefixes = {key.partition(".")[0] + "." for key in wanted}
    if len(prefixes) != 1 or any(key in wanted for key in given):
        return given
    prefix = prefixes.pop()
    return {prefix + key if prefix + key in wanted else key: value for key, value in given.items()}


def _type_of(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _local_file(pretrained: str) -> Path:
    if "://" in pretrained:
        raise WeightsError(f"pretrained: {pretrained} is a URL; download the file yourself and name its path")
    path = Path(os.path.expanduser(pretrained))  # noqa: PTH111 - never raises
    if not path.is_file():
        raise WeightsError(f'pretrained: {pretrained} is neither a file nor "auto", "imagenet" or "none"')
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _check_answer(url: str) -> None:
    """Raises OSError within seconds if there is no network; a socket's time-out does not cover the name look-up."""
    errors: list[OSError] = [TimeoutError(f"no answer within {ANSWER_SECONDS:g} s")]

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "torch.hub"})
            urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
            errors.clear()
        except OSError as error:
            errors.insert(0, error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    if errors:
        raise errors[0]


@contextmanager
def _read_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
