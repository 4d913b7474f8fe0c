"""Calls a function of a test on several ranks; run as a program it is one of them."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.environments.lightning import find_free_network_port

TESTS = Path(__file__).parents[1]


def on_ranks(world: int, function: Callable[..., Any], *words: Any, seconds: float = 540) -> list[Any]:
    """Calls ``function(*words)`` on ``world`` processes that Lightning treats as its ranks.

    Args:
        world: number of processes; each builds its ``Trainer`` with ``devices=world`` and ``accelerator="cpu"``.
        function: a module-level function of a test file.
        words: arguments that can be pickled.
        seconds: time limit.

    Returns:
        The return values, rank 0 first.

    Raises:
        AssertionError: if a rank fails, with its output; the others are killed.
    """
    # Nothing of a scheduler or of the test's own process may be taken for these processes' place.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "TORCHELASTIC", "PYTEST"))}
    place = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(find_free_network_port()),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(world),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "call").write_bytes(pickle.dumps((function.__module__, function.__qualname__, words)))
        ranks = []
        for rank in range(world):
            own = place | {"LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
            with (folder / f"said{rank}").open("wb") as said:
                ranks.append(
                    subprocess.Popen(
                        [sys.executable, __file__, str(folder)],
                        env=environment | own, cwd=Path.cwd(), stdout=said, stderr=subprocess.STDOUT,
                    )
                )  # fmt: skip
        try:
            _wait(ranks, time.monotonic() + seconds)
            codes = [process.returncode for process in ranks]
            if any(code != 0 for code in codes):  # None: still running, since another one failed or the time is over
                blamed = next((rank for rank, code in enumerate(codes) if code), 0)
                said = (folder / f"said{blamed}").read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"exit codes {codes}; process {blamed} said:\n{said[-4000:]}")
        finally:
            for process in ranks:
                process.kill()
                process.wait()
        return [pickle.loads((folder / f"result{rank}").read_bytes()) for rank in range(world)]


def _wait(ranks: list[subprocess.Popen[bytes]], deadline: float) -> None:
    """Waits until all have ended, one has failed, or the deadline has passed."""
    while any(process.poll() is None for process in ranks) and not any(process.returncode for process in ranks):
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def main() -> None:
    """Calls the function and writes its return value to the folder."""
    folder = Path(sys.argv[1])
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]
    from callbacks.distributed import rank_exit

    rank_exit.install()
    rank_exit.skip_finalization()
    import torch

    torch.set_num_threads(1)
    module, name, words = pickle.loads((folder / "call").read_bytes())
    result = getattr(import_module(module), name)(*words)
    (folder / f"result{os.environ['LOCAL_RANK']}").write_bytes(pickle.dumps(result))
    rank_exit.set_exit_code(0)


if __name__ == "__main__":
    main()
