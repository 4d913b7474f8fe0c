"""The learning-rate schedule of a stage: one-cycle (Smith 2018), in PyTorch's form or in that of fastai 0.7."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from datamodules.stage import Stage


def build_schedule(optimizer: Optimizer, stage: Stage, *, steps: int, momentum: tuple[float, float]) -> LRScheduler:
    """Builds the schedule of a stage; the rates of the optimizer's groups are its peaks.

    A single cosine cycle is PyTorch's ``OneCycleLR``, which can also move the momentum. All other forms follow fastai
    0.7 (``cycle_factor``).

    Args:
        optimizer: optimizer of the stage.
        stage: the stage.
        steps: optimizer steps of the stage.
        momentum: lowest and highest momentum; equal values keep it constant.

    Raises:
        ValueError: if the momentum shall move in a form other than a single cosine cycle.
    """
    low, high = momentum
    if stage.shape == "cosine":
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=steps,
            pct_start=max(stage.warmup, 2 / steps),
            div_factor=stage.div,
            final_div_factor=stage.end_div,
            cycle_momentum=low != high,
            base_momentum=low,
            max_momentum=high,
        )
    if low != high:
        raise ValueError(f"stage '{stage.name}': a momentum of {momentum} needs shape: cosine, not {stage.shape}")

    def factor(step: int) -> float:
        return cycle_factor(step, steps=steps, stage=stage)

    return LambdaLR(optimizer, factor)


def cycle_factor(step: int, *, steps: int, stage: Stage) -> float:
    """Factor on the peak learning rate in the linear form of fastai 0.7 (``use_clr``, ``use_clr_beta``).

    In each of ``cycles`` equal parts of the stage, the factor rises from ``1 / div`` to 1 during a fraction ``warmup``
    of the steps. Without ``tail`` it then falls until the end of the cycle to ``1 / div / end_div``. With ``tail`` it
    falls to ``1 / div``, and from there to ``1 / div / end_div`` during the last fraction ``tail``.

    ``use_clr=(20, 10)`` is ``div: 20, warmup: 0.1, end_div: 1``; ``use_clr_beta=(40, 10)`` is ``div: 40, warmup: 0.45,
    tail: 0.1, end_div: 100``.

    Args:
        step: optimizer step of the stage, from 0.
        steps: optimizer steps of the stage.
        stage: the stage.

    >>> lesson = Stage(name="a", size=1, batch_size=1, epochs=1, lr=1, shape="linear", div=4, warmup=0.25, end_div=1)
    >>> [cycle_factor(step, steps=8, stage=lesson) for step in range(8)]
    [0.25, 0.625, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375]
    """
    length = max(steps / stage.cycles, 1.0)
    position = min(step, steps - 1) % length / length
    start, end = 1 / stage.div, 1 / stage.div / stage.end_div
    warmup = max(stage.warmup, 1 / length)
    tail = 1 - stage.tail
    if position < warmup:
        return start + (1 - start) * position / warmup
    if not stage.tail:
        return 1 + (end - 1) * (position - warmup) / max(1 - warmup, 1 / length)
    if position < tail:
        return 1 + (start - 1) * (position - warmup) / (tail - warmup)
    return start + (end - start) * (position - tail) / stage.tail
