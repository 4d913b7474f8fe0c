"""Two hosts in network namespaces with one address each; finds what works on loopback only."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.clusters import ROOT, WORDS, assert_same_end, finished, last, place, program, started

pytestmark = pytest.mark.cluster


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces with 10.77.0.1 and 10.77.0.2, joined by a cable."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program ip")
    names = [f"darkroom{os.getpid()}{letter}" for letter in "ab"]
    with ExitStack() as cleanup:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr!r}")
            cleanup.callback(ip, "netns", "delete", name)
        ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, start=1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        yield names


def test_two_hosts_train_like_one(tmp_path: Path, hosts: list[str]) -> None:
    here = place(tmp_path)
    code, said = finished(program("--name", "whole", "--trainer.devices", "2"), here)
    assert code == 0, said[-3000:]
    script = ["bash", str(ROOT / "experiments" / "cluster" / "torchrun.sh"), *WORDS]
    common = {"RUN": "hosts", "NODES": "2", "DEVICES": "1", "MASTER": "10.77.0.1", "INTERFACE": "cable"}
    with ExitStack() as stack:
        both = [
            stack.enter_context(
                started(["ip", "netns", "exec", name, *script], here, **common, NODE=str(n), ADDRESS=f"10.77.0.{n + 1}")
            )
            for n, name in enumerate(hosts)
        ]
        said_by = [process.communicate(timeout=900)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], "\n".join(said_by)[-3000:]
    assert_same_end(last(here, "whole"), last(here, "hosts"))
