"""Several processes train one network: this makes sure that it stays one."""

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from callbacks.errors import ReplicaError
from datamodules.stage import Stage, stage_ends
from lightning_modules.typed_trainer import ends_step

_WHOLE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class ReplicaGuard(Callback):
    """Compares parameters and buffers of all processes, bit by bit in a check sum, and stops them at a difference.

    DDP promises equal weights and never looks: what it does not synchronise (a layer thawed after it wrapped the
    module, a random choice that differs between processes) drifts apart in silence, and the checkpoint of the first
    process hides it. Comparing reads every weight once and sends eight bytes for each tensor.

    One thing differs by nature: the running statistics of a batch norm that is not synchronised come from each
    process' own images. DDP overwrites them with those of process 0 before every forward pass, validation's
    included, so that they are what is judged and saved; they are left out here.

    It stands before ``ProgressiveResizing`` in the list of callbacks: wrapping anew copies the weights of process 0
    to all, after which nothing would be found.

    Args:
        stages: the run's stages; the weights are compared at the end of each.
        every_n_steps: optimiser steps between two comparisons inside a stage; 0 for none.

    Raises:
        ReplicaError: on all processes, naming the first tensor that differs.
    """

    def __init__(self, stages: Sequence[Stage], *, every_n_steps: int) -> None:
        self.stages, self.every_n_steps = list(stages), every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Compares every so many steps."""
        if self.every_n_steps and ends_step(trainer, batch_idx) and trainer.global_step % self.every_n_steps == 0:
            self.compare(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares at the end of a stage."""
        if trainer.current_epoch + 1 in stage_ends(self.stages):
            self.compare(trainer, pl_module)

    def compare(self, trainer: Trainer, module: LightningModule) -> None:
        """Compares now; all processes have to take part.

        Raises:
            ReplicaError: if they differ.
        """
        if trainer.world_size == 1:
            return
        named = list(replicated(module))
        sums = torch.stack([check_sum(tensor) for _, tensor in named])
        shares = [torch.empty_like(sums) for _ in range(trainer.world_size)]
        dist.all_gather(shares, sums)
        gathered = torch.stack(shares)
        differs = (gathered != gathered[0]).cpu()
        if not differs.any():
            return
        place = int(differs.any(0).int().argmax())
        others = ", ".join(str(rank) for rank in differs[:, place].nonzero().flatten().tolist())
        raise ReplicaError(
            f"the processes no longer train the same network: {named[place][0]} differs between process 0 and "
            f"{others} after step {trainer.global_step} ({int(differs.any(0).sum())} of {len(named)} tensors differ). "
            "Go on from the last checkpoint with --resume; if it happens again, something in the step is not the same "
            "on all processes"
        )


def replicated(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Gives the tensors that must be the same on all processes, by name: parameters first, then buffers.

    >>> [name for name, _ in replicated(nn.BatchNorm2d(2))]
    ['weight', 'bias', 'num_batches_tracked']
    """
    yield from module.named_parameters()
    own = {
        f"{name}.{statistic}".lstrip(".")
        for name, part in module.named_modules()
        if isinstance(part, _BatchNorm) and not isinstance(part, SyncBatchNorm)
        for statistic in ("running_mean", "running_var")
    }
    yield from ((name, buffer) for name, buffer in module.named_buffers() if name not in own)


def check_sum(tensor: Tensor) -> Tensor:
    """Adds up the bits of a tensor as whole numbers, in any order the same.

    Args:
        tensor: of any shape and any type of up to 8 bytes.

    Returns:
        int64 ``()`` on the tensor's device.

    >>> check_sum(torch.tensor([1.0, 2.0])) == check_sum(torch.tensor([2.0, 1.0]))
    tensor(True)
    >>> check_sum(torch.tensor([1.0, 0.0])) == check_sum(torch.tensor([1.0, -0.0]))
    tensor(False)
    """
    return tensor.detach().view(_WHOLE[tensor.element_size()]).sum(dtype=torch.int64)
