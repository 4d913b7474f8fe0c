"""Describes the machine and the versions that a benchmark ran with."""

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

from datamodules.loading.parallel import usable_cores

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")  # that decide which kernels torch uses
_MODEL, _FEATURES = "model name", "flags"


def machine(*packages: str) -> str:
    """Two lines: processor, its vector instructions, cores, load and device; versions of Python and ``packages``."""
    info = _cpu_info()
    flags = [flag for flag in _FLAGS if flag in info.get(_FEATURES, "").split()]
    bf16 = {"avx512_bf16", "amx_bf16"} & set(flags)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    versions = [f"{name} {metadata.version(name)}" for name in dict.fromkeys(("torch", *packages))]
    return (
        f"{info.get(_MODEL) or platform.processor() or platform.machine()}, {', '.join(flags) or 'no AVX2'}, "
        f"bf16 {'native' if bf16 else 'emulated'}, {usable_cores()} cores, {torch.get_num_threads()} threads{load}; "
        f"GPU: {gpu}\nPython {platform.python_version()}, {', '.join(versions)}"
    )


def _cpu_info() -> dict[str, str]:
    """The fields of the first processor (Linux only)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
