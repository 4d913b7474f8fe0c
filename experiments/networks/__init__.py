"""Trained networks: ``NAME.safetensors`` with a card ``NAME.yaml``. Imports no torch.

Some ship with Darkroom. Others are read from the folder that the environment variable ``DARKROOM_NETWORKS`` names.
``python -m experiments.networks.pack`` makes them from checkpoints.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from datamodules.io.home_folder import expand_home
from experiments.cli.usage import UsageError, unknown

#: Those that ship.
FOLDER = Path(__file__).parent
_VARIABLE = "DARKROOM_NETWORKS"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network and its card.

    Args:
        path: the weights.
        task: key of the task table.
        summary: what it does, in one line.
        scale: how many times larger its images are.
        default: whether ``predict`` uses it if nothing is trained and nothing is named.
        data: what it was trained on.
        license: license of that data.
        command: command that trained it.
        time: how long that took, and on what.
        scores: measured results, by benchmark and metric.
        styles: of a network of many styles: for each its name, title, painter, year and license.
    """

    path: Path
    task: str
    summary: str
    data: str
    license: str
    command: str
    time: str
    scale: int = 1
    default: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    styles: Sequence[Mapping[str, str | int]] = ()

    @property
    def name(self) -> str:
        """The name that ``--net`` takes."""
        return self.path.stem

    def describe(self) -> str:
        """Returns the summary with the scores."""
        scores = ", ".join(f"{name} {score:g}" for name, score in self.scores.items())
        return f"{self.summary} ({scores})" if scores else self.summary


def own_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Returns the folder of the user's own networks, ``None`` if there is none."""
    return expand_home(environ[_VARIABLE]) if environ.get(_VARIABLE) else None


def list_networks(task: str | None = None) -> list[Network]:
    """Returns the networks of a task, or all: the default ones first, and the user's own before those that ship.

    A network of the user's own replaces one that ships under the same name.

    Raises:
        UsageError: if a card cannot be read.
    """
    folders = [folder for folder in (own_folder(), FOLDER) if folder is not None]
    networks: dict[str, Network] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            networks.setdefault(path.stem, _read_card(path))
    fitting = [network for network in networks.values() if task in (None, network.task)]
    return sorted(fitting, key=lambda network: (network.task, not network.default))


def find_network(name: str, task: str) -> Network:
    """Returns the network called ``name``.

    Raises:
        UsageError: if there is none, or it is of another task.
    """
    networks = {network.name: network for network in list_networks()}
    if name not in networks:
        if not networks:
            raise UsageError(f"--net {name}: there are no networks; name a file with --ckpt_path")
        raise unknown("network", name, networks)
    if networks[name].task != task:
        raise UsageError(
            f"the network '{name}' is of the task '{networks[name].task}': use --task {networks[name].task}"
        )
    return networks[name]


def default_network(task: str, *, scale: int | None = None) -> Network | None:
    """Returns the network that ``predict`` uses if none is trained or named; ``None`` if none fits.

    Args:
        task: key of the task table.
        scale: wanted scale; ``None`` takes the one marked as default.

    Raises:
        UsageError: if several networks have that scale, and none of them is marked: at scale 1 they differ in what they
            restore.
    """
    fitting = [one for one in list_networks(task) if (one.default if scale is None else one.scale == scale)]
    if len(fitting) > 1 and not fitting[0].default:
        names = " or ".join(f"--net {one.name}" for one in fitting)
        raise UsageError(f"--scale {scale}: there are {len(fitting)} networks of that scale: choose one with {names}")
    return next(iter(fitting), None)


def _read_card(path: Path) -> Network:
    try:
        return Network(path=path.with_suffix(".safetensors"), **yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        reason = " ".join(str(error).removeprefix("Network.__init__() ").split())
        raise UsageError(f"{path} is not the card of a network: {reason}") from error
