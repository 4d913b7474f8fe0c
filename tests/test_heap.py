"""glibc keeps the memory of a step: a large block that is freed and taken again needs no new pages."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.commands.heap import keep_heap

_FAULTS = """
import resource, sys
from experiments.commands.heap import keep_heap
kept = sys.argv[1] == "keep" and keep_heap({})
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
size = 64 << 20
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc only")
def test_freed_memory_is_kept() -> None:
    def run(word: str) -> tuple[str, int]:
        command = [sys.executable, "-c", _FAULTS, word]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
        kept, faults = done.stdout.split()
        return kept, int(faults)

    kept, faults = run("keep")
    assert kept == "True"
    assert run("plain")[1] > 1000 > faults


def test_the_users_own_setting_stays() -> None:
    assert not keep_heap({"MALLOC_TRIM_THRESHOLD_": "100000"})
    assert not keep_heap({"LD_PRELOAD": "libjemalloc.so.2"})
