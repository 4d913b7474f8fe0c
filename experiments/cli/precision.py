"""The precision of a run on a CPU without bfloat16 instructions, where ``bf16-mixed`` is slower than ``32-true``."""

from collections.abc import Sequence

import torch
from jsonargparse import Namespace

from experiments.cli.settings import Settings

_OPTION = "--trainer.precision"
# On a CPU, Lightning replaces float16 by bfloat16.
_BF16 = ("bf16-mixed", "bf16", "bf16-true", "16-mixed", "16")
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # x86, x86, ARM
#: On two AVX2 cores a step of every network took about ten times as long as with 32-true.
_REASON = "this CPU has no bfloat16 instructions, and a step takes up to ten times as long as with 32-true"


def cpu_has_bf16() -> bool:
    """Whether this CPU computes convolutions in bfloat16 with instructions of its own.

    AVX-512 without its bfloat16 part emulates them. Builds of PyTorch without oneDNN, as for macOS on ARM, have no
    fast convolution in bfloat16 on any CPU.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # PyTorch 2.9; this one counts emulation as well
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _INSTRUCTIONS)


def is_precision_chosen(configs: Sequence[Settings], flags: Sequence[str]) -> bool:
    """Whether the user's own configuration files or flags set the precision.

    >>> is_precision_chosen([], ["--trainer.precision=bf16-mixed"]), is_precision_chosen([{"trainer": {}}], [])
    (True, False)
    """
    in_flags = any(word.partition("=")[0] == _OPTION for word in flags)
    trainers = [settings.get("trainer") for settings in configs]
    return in_flags or any(isinstance(trainer, dict) and trainer.get("precision") for trainer in trainers)


def adapt_precision(trainer: Namespace, *, chosen: bool, before: str | int | None) -> str | None:
    """Sets ``32-true`` in place where a recipe's precision is slow on this machine.

    A precision that the user chose stays. So does that of a resumed run, since its results would change.

    Args:
        trainer: the settings of the trainer.
        chosen: whether the user chose the precision.
        before: precision of the run that is resumed; ``None`` for other commands and new runs.

    Returns:
        A line for the user; ``None`` if there is nothing to report.
    """
    precision = trainer.precision
    slow = str(precision) in _BF16 and _runs_on_cpu(trainer.accelerator) and not cpu_has_bf16()
    if before is not None and _name(before) != _name(precision):
        line = (
            f"trainer.precision: the run was trained with {_name(before)} and goes on with {_name(precision)}: its "
            "weights will differ from those of a run without this change"
        )
        return f"{line}. {slow_bf16(precision)}" if slow else line
    if not slow:
        return None
    if before is not None:
        return (
            f"{slow_bf16(precision)}. It is kept because the run was trained with it; {_OPTION} 32-true is faster, but "
            "the weights will differ slightly"
        )
    if chosen:
        return slow_bf16(precision)
    trainer.precision = "32-true"
    return f"trainer.precision: 32-true instead of {precision}, because {_REASON}; {_OPTION} {precision} forces it"


def slow_bf16(precision: str | int) -> str:
    """Returns the sentence that ``precision`` is slow on this CPU."""
    return f"trainer.precision {precision} is slow here: {_REASON}"


def _name(precision: str | int | None) -> str:
    """The name without Lightning's abbreviations.

    >>> _name(None), _name(32), _name("bf16"), _name("bf16-mixed")
    ('32-true', '32-true', 'bf16-mixed', 'bf16-mixed')
    """
    short = {"None": "32-true", "32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed", "64": "64-true"}
    return short.get(str(precision), str(precision))


def _runs_on_cpu(accelerator: object) -> bool:
    if accelerator in (None, "auto"):
        return torch.accelerator.current_accelerator(check_available=True) is None
    return accelerator == "cpu"
