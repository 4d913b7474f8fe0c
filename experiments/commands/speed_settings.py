"""One line about the settings that decide how fast a run is, as they were chosen for this machine."""

import torch
from lightning import Trainer

from datamodules.base import ImageDataModule
from datamodules.loading.loader import loader_processes
from lightning_modules.base import ImageTask


def settings_line(trainer: Trainer, model: ImageTask, datamodule: ImageDataModule, *, keeps_heap: bool) -> str:
    """Describes device, precision, threads, loader processes, memory format and allocator.

    Args:
        trainer: of the run, before its fit.
        model: the module that is trained.
        datamodule: its data.
        keeps_heap: whether glibc keeps freed memory, see ``keep_heap``.
    """
    device = trainer.strategy.root_device
    parts = [
        f"{trainer.world_size} x {device.type}" if trainer.world_size > 1 else device.type,
        f"precision {trainer.precision}",
        f"{_count(torch.get_num_threads(), 'thread')}",
        _loaders(loader_processes(datamodule.num_workers, processes=trainer.num_devices)),
        "channels-last" if is_channels_last(model) else "contiguous",
    ]
    if device.type == "cpu":
        parts.append("heap kept between steps" if keeps_heap else "allocator as set by the system")
    if device.type == "cuda":
        parts.append(f"TF32 {'on' if torch.backends.cudnn.allow_tf32 else 'off'} in convolutions")
        parts.append(f"cudnn.benchmark {'on' if torch.backends.cudnn.benchmark else 'off'}")
    return f"speed: {', '.join(parts)}"


def is_channels_last(model: ImageTask) -> bool:
    """Whether the weights of the network's convolutions are stored in channels-last order."""
    weights = [one.weight for one in model.net.modules() if isinstance(one, torch.nn.Conv2d)]
    # Kernels of one pixel or one channel are contiguous in both orders.
    return any(not one.is_contiguous() and one.is_contiguous(memory_format=torch.channels_last) for one in weights)


def _loaders(number: int) -> str:
    return _count(number, "loader process", "loader processes") if number else "data loaded in the training process"


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"
