"""Plain DDP as every run gets it, and batch norm over all processes where one sees too few images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from lightning import LightningModule
from lightning.pytorch.plugins import TorchSyncBatchNorm
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from callbacks.distributed.launcher import RunLauncher
from datamodules.stage import Stage
from models.layer_groups import LayerGroups, frozen_count

#: With fewer images than this, batch norm's statistics cost accuracy: ResNet-50's error on ImageNet is 23.6 % at
#: 32 images a device, 23.7 at 16, 24.8 at 8, 27.3 at 4 (Wu and He 2018, "Group Normalization", arXiv:1803.08494).
ENOUGH = 16


@dataclass(frozen=True, kw_only=True)
class Ddp:
    """How several processes train one network; on one process nothing of it matters.

    Args:
        timeout: minutes after which a process that the others wait for is given up, and the run with it. Outside
            training, where processes meet only at the end, it is a day.
        static_graph: promises DDP that every step uses the same parameters, which saves it some bookkeeping.
        bf16_gradients: sends gradients as bfloat16: half the bytes over a slow network, and no longer the same
            numbers as on one process.
        sync_batchnorm: batch norm over all processes; ``"auto"`` does it on GPUs if a stage that trains batch norm
            gives a process fewer than 16 images at once. Never on a CPU: torch cannot.
        check_every_n_steps: optimiser steps between two comparisons of the processes' weights; 0 compares at the
            ends of stages only.

    Raises:
        ValueError: if a number is out of its range.
    """

    timeout: float = 10.0
    static_graph: bool = False
    bf16_gradients: bool = False
    sync_batchnorm: bool | Literal["auto"] = "auto"
    check_every_n_steps: int = 100

    def __post_init__(self) -> None:
        """Checks the numbers."""
        if self.timeout <= 0:
            raise ValueError(f"ddp.timeout is in minutes and must be above 0, not {self.timeout:g}")
        if self.check_every_n_steps < 0:
            raise ValueError(f"ddp.check_every_n_steps must be 0 or more, not {self.check_every_n_steps}")


class RunDDP(DDPStrategy):
    """One process a device, gradients averaged in buckets that the parameters' gradients are views of.

    Layers that no stage trains have no gradient and are not waited for, so looking for unused parameters is off.

    Args:
        timeout: how long processes wait for each other.
        static_graph: see ``Ddp``.
        bf16_gradients: see ``Ddp``.
    """

    def __init__(self, *, timeout: timedelta, static_graph: bool = False, bf16_gradients: bool = False) -> None:
        super().__init__(
            timeout=timeout,
            gradient_as_bucket_view=True,
            find_unused_parameters=False,
            static_graph=static_graph,
        )
        self.bf16_gradients = bf16_gradients

    def _configure_launcher(self) -> None:
        if self.cluster_environment is not None:  # it never is by now
            self._launcher = RunLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def configure_ddp(self) -> None:
        """Wraps the module; stages do it again and again."""
        super().configure_ddp()
        # Not through ddp_comm_hook: Lightning registers that on GPUs only, and a slow network is a slow network.
        if self.bf16_gradients and isinstance(self.model, DistributedDataParallel):
            self.model.register_comm_hook(None, bf16_compress_hook)  # None: the group of all


@contextmanager
def as_ddp(options: Ddp, *, training: bool) -> Iterator[None]:
    """Lets the trainer built in a ``with`` block take ``RunDDP`` for ``ddp``.

    That is also what Lightning takes for several devices when no strategy is named.

    Args:
        options: what the user set.
        training: whether processes wait for each other at every step.
    """
    stock = StrategyRegistry["ddp"]
    StrategyRegistry.register(
        "ddp",
        RunDDP,
        description=stock["description"],
        override=True,
        timeout=timedelta(minutes=options.timeout) if training else timedelta(days=1),
        static_graph=options.static_graph,
        bf16_gradients=options.bf16_gradients,
    )
    try:
        yield
    finally:
        StrategyRegistry["ddp"] = stock


class AutoSyncBatchNorm(TorchSyncBatchNorm):
    """Synchronises batch norm where it matters; layers whose statistics stand still are never synchronised.

    Args:
        stages: what will be trained.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = list(stages)

    def apply(self, model: nn.Module) -> nn.Module:
        """Replaces the batch norms of a module attached to a trainer, or leaves them."""
        if not isinstance(model, LightningModule):
            raise TypeError(f"{type(model).__name__} is no LightningModule")
        trainer = model.trainer
        shares = trainer.world_size * trainer.accumulate_grad_batches
        net = model.net
        small = isinstance(net, LayerGroups) and small_batch_norm(net.layer_groups(), self.stages, shares=shares)
        if trainer.strategy.root_device.type != "cuda" or not small:
            return model
        synchronised: nn.Module = super().apply(model)
        return synchronised


def small_batch_norm(groups: Sequence[Sequence[nn.Module]], stages: Sequence[Stage], *, shares: int) -> bool:
    """Whether some stage trains batch norm on too few images at once.

    Args:
        groups: the net's layer groups.
        stages: what will be trained.
        shares: processes times accumulated batches: into so many parts the stage's batch is cut.

    >>> groups = [[nn.BatchNorm2d(4)], [nn.Conv2d(4, 1, 1)]]
    >>> stage = Stage(name="all", size=64, batch_size=32, epochs=1, lr=1e-3)
    >>> small_batch_norm(groups, [stage], shares=2), small_batch_norm(groups, [stage], shares=4)
    (False, True)
    """
    return any(stage.batch_size // shares < ENOUGH and _trains_batch_norm(groups, stage) for stage in stages)


def _trains_batch_norm(groups: Sequence[Sequence[nn.Module]], stage: Stage) -> bool:
    still = frozen_count(len(groups), "encoder" if stage.frozen_bn else stage.frozen)
    still = max(still, frozen_count(len(groups), stage.frozen))
    return any(isinstance(part, _BatchNorm) for group in groups[still:] for top in group for part in top.modules())
