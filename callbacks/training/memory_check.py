"""Tries one real batch of every stage before the run starts, and leaves no trace of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from callbacks.errors import StageError
from datamodules.stage import Stage
from lightning_modules.typed_trainer import typed


def rehearse(trainer: Trainer, module: LightningModule, stages: Sequence[Stage]) -> None:
    """Sends one batch of every stage forward and backward, largest first, so that memory is asked for once.

    Weights, batch-norm statistics, gradients and random numbers are as before afterwards.

    Args:
        trainer: an attached trainer whose data module gives ``rehearsal_batch(stage)``.
        module: an ``ImageTask``: gives ``losses(batch)`` with the total under ``"loss"``.
        stages: what will be trained; of stages with the same size and batch only the one with most to train is tried.

    Raises:
        StageError: if a stage does not fit in memory, or the net refuses its size; the message names it.
    """
    data = typed(trainer).datamodule
    task: Any = module
    tried: set[tuple[int, int, int | None]] = set()
    with _untouched(module):
        for stage in sorted(stages, key=lambda s: s.batch_size * s.size**2 * (s.scale or 1) ** 2, reverse=True):
            if (shape := (stage.size, stage.batch_size, stage.scale)) in tried:
                continue
            tried.add(shape)
            task.set_stage(stage)
            module.requires_grad_(True)  # the most memory any stage can ask for
            try:
                batch = trainer.precision_plugin.convert_input(data.rehearsal_batch(stage))
                batch = trainer.strategy.batch_to_device(batch)
                with trainer.precision_plugin.train_step_context():
                    loss = task.losses(batch)["loss"]
                    trainer.strategy.precision_plugin.backward(loss, module, None)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                raise StageError(too_large(stage, stages, processes=trainer.world_size)) from error
            except ValueError as error:  # what a net says of images that are too small for it
                raise StageError(f"stage '{stage.name}' at {stage.size} px cannot be trained: {error}") from error
            module.zero_grad(set_to_none=True)
        if task.stage is not None:
            task.set_stage(task.stage)
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**30
        rank_zero_info(f"all {len(stages)} stages fit: at most {peak:.1f} GiB of GPU memory")
        torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, of a GPU or of the machine.

    >>> out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."))
    True
    """
    words = ("can't allocate memory", "not enough memory")  # torch's allocator on a CPU has no class of its own
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def too_large(stage: Stage, stages: Sequence[Stage], *, processes: int) -> str:
    """Says that a stage does not fit, and which options help.

    >>> stage = Stage(name="512 px", size=512, batch_size=16, epochs=1, lr=1e-3)
    >>> print(too_large(stage, [stage], processes=2))  # doctest: +ELLIPSIS
    stage '512 px' does not fit in memory at 512 px with batch_size 16 on 2 process(es): lower --stages.0.batch_size ...
    """
    place = f"--stages.{list(stages).index(stage)}"
    return (
        f"stage '{stage.name}' does not fit in memory at {stage.size} px with batch_size {stage.batch_size} on "
        f"{processes} process(es): lower {place}.batch_size or {place}.size, or keep them and use "
        "--trainer.accumulate_grad_batches 2 or --trainer.precision bf16-mixed"
    )


@contextmanager
def _untouched(module: nn.Module) -> Iterator[None]:
    """Puts buffers, gradient flags and the random state back at the end."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    flags = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    with torch.random.fork_rng():
        yield
    for name, buffer in module.named_buffers():
        buffer.copy_(buffers[name])
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(flags[name])
        parameter.grad = None
