"""DDP as every run uses it: strategy, launcher of the ranks, and synchronized batch norm where batches are small."""

import faulthandler
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.distributed import _init_dist_connection, _set_num_threads_if_needed
from lightning.fabric.utilities.seed import reset_seed
from lightning.pytorch.plugins import TorchSyncBatchNorm
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import nn
from torch._C._distributed_c10d import TCPStore
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.distributed.distributed_c10d import default_pg_timeout
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from callbacks.distributed.child_processes import ChildProcesses
from callbacks.distributed.error_files import FOLDER, LAUNCHER, launcher_pid
from callbacks.distributed.rank_exit import skip_finalization
from datamodules.stage import Stage
from models.layer_groups import LayerGroups, frozen_bn_count, frozen_count

#: Images per rank below which batch norm loses accuracy: ResNet-50's error on ImageNet is 23.6 % with 32 images per
#: device, 23.7 with 16, 24.8 with 8, 27.3 with 4 (Wu and He 2018, "Group Normalization", arXiv:1803.08494).
ENOUGH_IMAGES = 16
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Ddp:
    """Options of a run on several processes. They have no effect on a single process.

    Args:
        timeout: minutes after which a process that does not respond ends the run. Outside training, where processes
            meet only at the end, the limit is one day.
        static_graph: tells DDP that every step uses the same parameters, which saves some work per step.
        bf16_gradients: sends gradients as bfloat16: half the bytes over a slow network, with results that differ from
            those of a single process.
        sync_batchnorm: batch norm over all processes. ``"auto"`` uses it on GPUs if a stage that trains batch norm
            has fewer than 16 images per process. Torch does not support it on a CPU.
        check_every_n_steps: optimizer steps between two comparisons of the processes' weights; 0 compares only at the
            end of a stage.

    Raises:
        ValueError: if a number is out of its range.
    """

    timeout: float = 10.0
    static_graph: bool = False
    bf16_gradients: bool = False
    sync_batchnorm: bool | Literal["auto"] = "auto"
    check_every_n_steps: int = 100

    def __post_init__(self) -> None:
        if self.timeout <= 0:
            raise ValueError(f"ddp.timeout is in minutes and must be above 0, not {self.timeout:g}")
        if self.check_every_n_steps < 0:
            raise ValueError(f"ddp.check_every_n_steps must be 0 or more, not {self.check_every_n_steps}")


class RunLauncher(_SubprocessScriptLauncher):
    """Starts one process per device as Lightning does, and monitors them with ``ChildProcesses``.

    Lightning's own observer kills all ranks, rank 0 included, up to five seconds after any exit code but 0. A run that
    was stopped with code 75 may then end with 137, and the original error is not printed last. If rank 0 fails or a
    rank hangs, it does nothing. ``experiments/cli/signals.py`` ends the other ranks if rank 0 is killed.
    """

    children: ChildProcesses | None = None

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Trainer | None = None, **kwargs: Any) -> Any:
        """Starts the other ranks, unless a scheduler did, and calls ``function``."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            folder = tempfile.mkdtemp(prefix="darkroom-errors-")
            os.environ |= {FOLDER: folder, LAUNCHER: str(os.getpid())}
            self._call_children_scripts()
            self.children = ChildProcesses(self.procs, Path(folder))
        elif launcher_pid() is not None:
            faulthandler.enable()  # prints the traceback on SIGABRT
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*args, **kwargs)

    def kill(self, signum: int) -> None:
        """Ends the other ranks at the user's request, without an error report."""
        if self.children is not None:
            self.children.release()
        super().kill(signum)


class RunDDP(DDPStrategy):
    """DDP with gradients as views of the buckets and without the search for unused parameters.

    Frozen layers have no gradient and are not waited for, so the search is not needed.

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
        if self.cluster_environment is not None:  # set by now; the type allows None
            self._launcher = RunLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def setup_distributed(self) -> None:
        """Connects the ranks; those of a single machine listen on its loopback interface only."""
        skip_finalization()
        environment = self.cluster_environment
        connected = torch.distributed.is_initialized()  # by an earlier trainer of this process, which Lightning keeps
        if connected or self.num_nodes > 1 or not isinstance(environment, LightningEnvironment):
            super().setup_distributed()
            return
        reset_seed()
        self.set_world_ranks()
        self._process_group_backend = self._get_process_group_backend()
        for name in {"lo", "lo0"} & {name for _, name in socket.if_nameindex()}:  # Linux, macOS
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
        timeout = self._timeout or default_pg_timeout
        _init_dist_connection(
            environment,
            self._process_group_backend,
            store=_loopback_store(environment.main_port, rank=self.global_rank, world=self.world_size, timeout=timeout),
            timeout=timeout,
            device_id=self.root_device if self.root_device.type != "cpu" else None,
        )

    def configure_ddp(self) -> None:
        """Wraps the module in DDP; called again at every stage."""
        super().configure_ddp()
        # Lightning registers its ddp_comm_hook on GPUs only. Slow networks between CPUs need it too.
        if self.bf16_gradients and isinstance(self.model, DistributedDataParallel):
            self.model.register_comm_hook(None, bf16_compress_hook)  # None: the default process group


def _loopback_store(port: int, *, rank: int, world: int, timeout: timedelta) -> TCPStore:
    """Returns the store where the ranks of a machine meet; by default torch listens on all network interfaces."""
    listening = socket.create_server((_LOOPBACK, port), backlog=world).detach() if rank == 0 else None
    return TCPStore(_LOOPBACK, port, world, rank == 0, timeout, master_listen_fd=listening)


@contextmanager
def use_run_ddp(options: Ddp, *, training: bool) -> Iterator[None]:
    """Registers ``RunDDP`` as the strategy ``ddp`` for a trainer that is built inside the ``with`` block.

    Lightning also chooses ``ddp`` for several devices if no strategy is named.

    Args:
        options: the options of the run.
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
    """Synchronizes batch norm on GPUs if a stage trains it with few images per rank; frozen layers never are.

    Args:
        stages: the stages of the run.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = list(stages)

    def apply(self, model: nn.Module) -> nn.Module:
        """Replaces the batch norms of a module that is attached to a trainer, or returns it unchanged."""
        if not isinstance(model, LightningModule):
            raise TypeError(f"{type(model).__name__} is not a LightningModule")
        trainer = model.trainer
        shares = trainer.world_size * trainer.accumulate_grad_batches
        net = model.net
        small = isinstance(net, LayerGroups) and has_small_batch_norm(net.layer_groups(), self.stages, shares=shares)
        if trainer.strategy.root_device.type != "cuda" or not small:
            return model
        synchronized: nn.Module = super().apply(model)
        return synchronized


def has_small_batch_norm(groups: Sequence[Sequence[nn.Module]], stages: Sequence[Stage], *, shares: int) -> bool:
    """Whether some stage trains batch norm with fewer than ``ENOUGH_IMAGES`` images at once.

    Args:
        groups: the layer groups of the net.
        stages: the stages of the run.
        shares: into how many parts a stage's batch is divided: ranks times accumulated batches.

    >>> groups = [[nn.BatchNorm2d(4)], [nn.Conv2d(4, 1, 1)]]
    >>> stage = Stage(name="all", size=64, batch_size=32, epochs=1, lr=1e-3)
    >>> has_small_batch_norm(groups, [stage], shares=2), has_small_batch_norm(groups, [stage], shares=4)
    (False, True)
    """
    return any(stage.batch_size // shares < ENOUGH_IMAGES and _trains_batch_norm(groups, stage) for stage in stages)


def _trains_batch_norm(groups: Sequence[Sequence[nn.Module]], stage: Stage) -> bool:
    frozen = max(frozen_bn_count(len(groups), stage.frozen_bn), frozen_count(len(groups), stage.frozen))
    return any(isinstance(part, _BatchNorm) for group in groups[frozen:] for top in group for part in top.modules())
