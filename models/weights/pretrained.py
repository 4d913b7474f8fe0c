"""Where pretrained weights come from: a file, torch hub's cache, or a download. Asked for in this one place."""

import hashlib
import logging
import re
import socket
import threading
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

_log = logging.getLogger("darkroom")

#: Seconds within which a download must have begun, and within which each further piece must arrive.
ANSWER_SECONDS, READ_SECONDS = 8.0, 30.0


class WeightsError(ValueError):
    """Weights cannot be found, cannot be read, or do not fit the network; the message says what to do."""


def load_pretrained_(
    classifier: nn.Module, *, name: str, trunk: Collection[str], pretrained: str, option: str = "pretrained: PATH"
) -> str:
    """Loads weights into the feature trunk of ``classifier``, in place.

    Args:
        classifier: as torchvision builds it.
        name: its name there.
        trunk: the names of its tensors that are wanted. All others belong to the head: they are left as they are, and
            ignored where a file has them.
        pretrained: ``"none"`` for random weights; ``"imagenet"`` for torchvision's, from torch hub's cache or by
            download; ``"auto"`` for the same, but random weights and a warning when they cannot be had; or the path
            of a file with a state dict, plain or under ``"state_dict"`` or ``"params"``, with or without ``module.``
            before the names (DataParallel, DDP) and with or without the name of the trunk (``features.``).
        option: how a user names such a file, for the message that none could be had.

    Returns:
        Where the weights came from, in words.

    Raises:
        WeightsError: the weights cannot be had, cannot be read, or do not fit.
    """
    if pretrained == "none":
        return "random weights"
    if pretrained in ("auto", "imagenet"):
        try:
            path = imagenet_file(name)
        except WeightsError as error:
            ways = f"{error}. Or name a file of yours ({option})"
            if pretrained == "imagenet":
                raise WeightsError(ways) from error
            _log.warning("TRAINING STARTS FROM RANDOM WEIGHTS, which costs accuracy: %s", ways)
            return f"random weights (pretrained: auto found none for {name})"
        origin = f"ImageNet, {path.name}"
    else:
        path = _local_file(pretrained)
        origin = f"file {path.name}, sha256 {_digest(path)}"
    _fit_(classifier, read_state_dict(path), trunk=trunk, name=name, path=path)
    return origin


def imagenet_file(name: str) -> Path:
    """Finds the file of torchvision's best ImageNet weights in torch hub's cache; downloads it if it is not there yet.

    Args:
        name: of the classifier in torchvision.

    Raises:
        WeightsError: if it can neither be found nor downloaded.
    """
    weights = get_model_weights(name).DEFAULT
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if path.is_file():
        return path
    try:
        _check_answer(weights.url)
        path.parent.mkdir(parents=True, exist_ok=True)
        checksum = re.search(r"-([0-9a-f]{8,})\.", path.name)
        with _read_timeout(READ_SECONDS):
            torch.hub.download_url_to_file(weights.url, str(path), checksum.group(1) if checksum else None)
    except (OSError, RuntimeError) as error:  # RuntimeError: the checksum is wrong
        raise WeightsError(
            f"no ImageNet weights for {name} ({error}): put {path.name} into {path.parent}, or let this machine reach "
            f"{weights.url}"
        ) from error
    return path


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name from a file; code in it is refused, not run.

    Raises:
        WeightsError: if it cannot be read or is no state dict.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # its own text advises to run the code
        raise WeightsError(f"{path} cannot be read as weights: it holds something else than tensors") from error
    except Exception as error:  # a damaged file can make the reader fail in any way
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path} cannot be read as weights ({type(error).__name__}: {reason})") from error
    for shell in ("state_dict", "params_ema", "params"):  # Lightning; BasicSR, which prefers the average
        if isinstance(stored, dict) and isinstance(stored.get(shell), dict):
            stored = stored[shell]
    if not isinstance(stored, dict) or not stored:
        raise WeightsError(f"{path} holds no state dict (tensors by name)")
    for key, value in stored.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path} holds no state dict: {key!r} is a {type(value).__name__}, not a tensor")
    return {key.removeprefix("module."): value for key, value in stored.items()}


def _fit_(classifier: nn.Module, given: dict[str, Tensor], *, trunk: Collection[str], name: str, path: Path) -> None:
    own = classifier.state_dict()
    wanted = {key: own[key] for key in own if key in trunk}
    given = _with_trunk_name(given, wanted)
    for key, tensor in wanted.items():
        if key not in given:
            if key.endswith("num_batches_tracked"):  # files older than PyTorch 0.4.1 lack these counters
                continue
            raise WeightsError(f"{path} does not fit {name}: it has no tensor {key!r}")
        found = given[key]
        if found.shape != tensor.shape or found.is_floating_point() != tensor.is_floating_point():
            raise WeightsError(f"{path} does not fit {name}: {key!r} is {_words(found)} and should be {_words(tensor)}")
        if not found.isfinite().all():
            raise WeightsError(f"{path} is damaged: {key!r} holds numbers that are not finite")
    for key in given:
        if key not in own:
            raise WeightsError(f"{path} does not fit {name}, which has no tensor {key!r}")
    with torch.no_grad():
        for key, tensor in wanted.items():
            if key in given:
                tensor.copy_(given[key])


def _with_trunk_name(given: dict[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Puts ``features.`` back before names that were stored without it."""
    prefixes = {key.partition(".")[0] + "." for key in wanted}
    if len(prefixes) != 1 or any(key in wanted for key in given):
        return given
    prefix = prefixes.pop()
    return {prefix + key if prefix + key in wanted else key: value for key, value in given.items()}


def _words(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _local_file(pretrained: str) -> Path:
    if "://" in pretrained:
        raise WeightsError(f"pretrained: {pretrained} is a URL; download the file yourself and name its path")
    path = Path(pretrained).expanduser()
    if not path.is_file():
        raise WeightsError(f'pretrained: {pretrained} is no file, and none of "auto", "imagenet" and "none"')
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _check_answer(url: str) -> None:
    """Raises OSError within seconds where there is no network; the time-out of a socket leaves out the name look-up."""
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
