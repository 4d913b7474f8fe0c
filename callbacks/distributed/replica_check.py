"""Checks that all ranks of a run hold the same weights."""

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from callbacks.errors import ReplicaError
from datamodules.stage import Stage, stage_ends
from lightning_modules.typed_trainer import ends_step

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes per element


class ReplicaCheck(Callback):
    """Compares checksums of all parameters and buffers between the ranks and stops the run at a difference.

    DDP assumes equal weights and does not check them. What it does not synchronize (a layer thawed after the module
    was wrapped, a random choice that differs between ranks) diverges silently, and the checkpoint of rank 0 hides it.
    A comparison reads every weight once and sends eight bytes per tensor.

    The running statistics of unsynchronized batch norm are left out. They differ by design, since each rank sees its
    own images; DDP overwrites them with those of rank 0 before every forward pass, validation included.

    List this callback before ``ProgressiveResizing``: wrapping the module again copies the weights of rank 0 to all,
    after which no difference is found.

    Args:
        stages: the stages of the run; the weights are compared at the end of each.
        every_n_steps: optimizer steps between two comparisons inside a stage; 0 for none.

    Raises:
        ReplicaError: on all ranks, naming the first tensor that differs.
    """

    def __init__(self, stages: Sequence[Stage], *, every_n_steps: int) -> None:
        self.stages, self.every_n_steps = list(stages), every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Compares every ``every_n_steps`` optimizer steps."""
        due = self.every_n_steps and ends_step(trainer, batch_idx) and trainer.global_step % self.every_n_steps == 0
        if due:
            self.compare(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares at the end of a stage."""
        if trainer.current_epoch + 1 in stage_ends(self.stages):
            self.compare(trainer, pl_module)

    def compare(self, trainer: Trainer, module: LightningModule) -> None:
        """Compares now (collective call).

        Raises:
            ReplicaError: if a tensor differs.
        """
        if trainer.world_size == 1:
            return
        named = list(replicated_tensors(module))
        sums = torch.stack([checksum(tensor) for _, tensor in named])
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


def replicated_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields the tensors that must be equal on all ranks with their names: parameters first, then buffers.

    >>> [name for name, _ in replicated_tensors(nn.BatchNorm2d(2))]
    ['weight', 'bias', 'num_batches_tracked']
    """
    yield from module.named_parameters()
    per_rank = {
        f"{name}.{statistic}".lstrip(".")
        for name, part in module.named_modules()
        if isinstance(part, _BatchNorm) and not isinstance(part, SyncBatchNorm)
        for statistic in ("running_mean", "running_var")
    }
    yield from ((name, buffer) for name, buffer in module.named_buffers() if name not in per_rank)


def checksum(tensor: Tensor) -> Tensor:
    """Sums the bit patterns of a tensor as integers; the order of the elements does not matter.

    Args:
        tensor: of any shape and of any type of up to 8 bytes.

    Returns:
        int64 ``()`` on the tensor's device.

    >>> checksum(torch.tensor([1.0, 2.0])) == checksum(torch.tensor([2.0, 1.0]))
    tensor(True)
    >>> checksum(torch.tensor([1.0, 0.0])) == checksum(torch.tensor([1.0, -0.0]))
    tensor(False)
    """
    return tensor.detach().view(_INTEGERS[tensor.element_size()]).sum(dtype=torch.int64)
