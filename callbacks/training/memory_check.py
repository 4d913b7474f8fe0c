"""Dry run: one real batch of every stage before the first step, so that a lack of memory shows at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from lightning import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from callbacks.errors import StageError
from datamodules.stage import Stage, StagedData
from lightning_modules.base import ImageTask
from lightning_modules.typed_trainer import typed


def dry_run(trainer: Trainer, module: ImageTask, stages: Sequence[Stage]) -> None:
    """Sends one batch of every stage forward and backward, the largest first, so that memory is allocated once.

    Weights, batch-norm statistics, gradients and random states are restored afterwards.

    Args:
        trainer: the trainer that ``module`` is attached to, with a data module.
        module: the module to train.
        stages: the stages of the run. Only one of several stages with the same size, batch and scale is tried.

    Raises:
        StageError: if a stage does not fit in memory or the net rejects its image size; the message names the stage.
    """
    data: StagedData = typed(trainer).datamodule
    tried: set[tuple[int, int, int | None]] = set()
    with _restored(module):
        for stage in sorted(stages, key=lambda s: s.batch_size * s.train_size**2 * (s.scale or 1) ** 2, reverse=True):
            if (shape := (stage.train_size, stage.batch_size, stage.scale)) in tried:
                continue
            tried.add(shape)
            module.set_stage(stage)
            module.requires_grad_(True)  # the most memory that any stage can need
            try:
                batch = trainer.precision_plugin.convert_input(data.dry_run_batch(stage))
                batch = trainer.strategy.batch_to_device(batch)
                with trainer.precision_plugin.train_step_context():
                    loss = module.losses(batch)["loss"]
                    trainer.strategy.precision_plugin.backward(loss, module, None)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise StageError(out_of_memory_message(stage, stages, processes=trainer.world_size)) from error
            except ValueError as error:  # raised by nets for images that are too small
                raise StageError(f"stage '{stage.name}' at {stage.train_size} px cannot be trained: {error}") from error
            module.zero_grad(set_to_none=True)
        if module.stage is not None:
            module.set_stage(module.stage)
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**30
        rank_zero_info(f"all {len(stages)} stages fit: at most {peak:.1f} GiB of GPU memory")
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error reports a lack of memory, of a GPU or of the machine.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."))
    True
    """
    words = ("can't allocate memory", "not enough memory")  # torch's CPU allocator raises a plain RuntimeError
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def out_of_memory_message(stage: Stage, stages: Sequence[Stage], *, processes: int) -> str:
    """Returns the message for a stage that does not fit in memory, with the options that help.

    >>> stage = Stage(name="512 px", size=512, batch_size=16, epochs=1, lr=1e-3)
    >>> print(out_of_memory_message(stage, [stage], processes=2))  # doctest: +ELLIPSIS
    stage '512 px' does not fit in memory at 512 px with batch_size 16 on 2 process(es): lower --stages.0.batch_size ...
    """
    option = f"--stages.{list(stages).index(stage)}"
    return (
        f"stage '{stage.name}' does not fit in memory at {stage.train_size} px with batch_size {stage.batch_size} on "
        f"{processes} process(es): lower {option}.batch_size or {option}.size, or keep them and use "
        "--trainer.accumulate_grad_batches 2 or --trainer.precision bf16-mixed"
    )


@contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    """Restores buffers, ``requires_grad`` flags and random states at the end, and removes gradients."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    flags = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    with torch.random.fork_rng():
        yield
    for name, buffer in module.named_buffers():
        buffer.copy_(buffers[name])
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(flags[name])
        parameter.grad = None
