"""Base class of all tasks: losses to training step, stages, frozen layers, optimizer and schedule."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, Self

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from datamodules.stage import Stage
from lightning_modules.schedule import build_schedule
from models.layer_groups import (
    LayerGroups,
    check_groups,
    eval_,
    eval_batch_norm_,
    freeze_,
    frozen_bn_count,
    frozen_count,
    param_groups,
)

Split = Literal["train", "val", "test"]
#: OneCycleLR divides by zero if it rises within a single step, as in a stage of a few images.
MIN_SCHEDULE_STEPS = 4


class ImageTask(LightningModule):
    """Trains ``net`` stage by stage with Adam and one one-cycle schedule per stage.

    A subclass implements ``losses(batch)`` and the validation, test and prediction steps. A rank may have no
    validation or test samples. It then gets one empty batch (``name == []``), for which these steps return ``None``,
    so that it still joins the reduction of the metrics at the end of the epoch.

    Outside a staged run this is an ordinary LightningModule that has no optimizer before ``begin_stage``.

    Args:
        net: a network with ``layer_groups()``.
        weight_decay: L2 penalty added to the gradient by Adam (1e-7 in fast.ai's lesson 14).
        momentum: Adam's first beta, or ``(low, high)`` to cycle it inversely to the learning rate.
        channels_last: store the weights in channels-last order. Faster with bf16 and on recent GPUs; slower for
            instance norm in float32 on a CPU.

    Attributes:
        classes: names of the classes; empty for tasks without classes.
        styles: names of the styles; empty for tasks without styles.
        training_only: prefixes of tensors that inference does not need; exported networks may lack them.
        test_table: one row of scores per test image, the worst first; the same on all ranks.

    Raises:
        TypeError: if ``net`` has no ``layer_groups()``.
    """

    classes: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    training_only: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        net: nn.Module,
        weight_decay: float = 1e-7,
        momentum: float | tuple[float, float] = 0.9,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(net, LayerGroups):
            raise TypeError(f"{type(net).__name__} needs layer_groups() -> list[list[nn.Module]], input first")
        # Converting the weights is enough: each convolution passes its memory format on to its output.
        self.net: nn.Module = net.to(memory_format=torch.channels_last) if channels_last else net
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.stage: Stage | None = None
        self.stage_steps = 0
        self.test_table: list[Any] = []
        self.lr = 0.0  # name required by Lightning's learning-rate finder

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: str | Path | IO[bytes],
        map_location: Any = None,
        hparams_file: str | Path | None = None,
        strict: bool | None = None,
        weights_only: bool | None = True,
        **kwargs: Any,
    ) -> Self:
        """Loads the weights of a checkpoint into a new module that is built from ``kwargs``.

        To build the network from the checkpoint as well, use ``experiments.load``, or for the module itself
        ``experiments.runs.trained_module.build_module``.

        Raises:
            TypeError: if ``net`` is not given.
        """
        if "net" not in kwargs:
            raise TypeError(
                f"{cls.__name__}.load_from_checkpoint needs the network: pass net=..., or use experiments.load(FILE), "
                "which builds it from the checkpoint"
            )
        return super().load_from_checkpoint(
            checkpoint_path, map_location, hparams_file, strict, weights_only=weights_only, **kwargs
        )

    @property
    def weights_origin(self) -> str:
        """Where the initial weights come from; by default what the network reports."""
        return str(getattr(self.net, "weights_origin", "random weights"))

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Runs the forward pass and returns the losses by name, their total under ``"loss"``.

        It logs nothing, because the dry run calls it too.
        """
        raise NotImplementedError

    def training_step(self, batch: Any) -> Tensor:
        """Returns the total loss and logs it with its parts; two log calls at most, each costs half a millisecond."""
        losses = self.losses(batch)
        loss = losses.pop("loss")
        self.log("train/loss", loss.detach(), prog_bar=True)
        if len(losses) > 1:
            self.log_dict({f"train/loss/{name}": part.detach() for name, part in losses.items()})
        return loss

    def log_scores(self, scores: Mapping[str, Tensor], *, prog_bar: str | None = None) -> None:
        """Logs scores that are already equal on all ranks; all ranks must call it.

        Args:
            scores: scalars by tag.
            prog_bar: tag of the score shown in the progress bar.
        """
        # sync_dist does not change equal values; without it Lightning warns.
        others = {tag: score for tag, score in scores.items() if tag != prog_bar}
        if prog_bar is not None:
            self.log(prog_bar, scores[prog_bar], prog_bar=True, batch_size=1, sync_dist=True)
        self.log_dict(others, batch_size=1, sync_dist=True)

    def set_stage(self, stage: Stage) -> None:
        """Adapts the net to ``stage``, in training and afterwards; by default there is nothing to do."""

    def check_stage(self, stage: Stage) -> None:
        """Checks that the net has the layer groups that ``stage`` freezes and scales.

        Raises:
            ValueError: naming the stage.
        """
        try:
            check_groups(len(self._groups()), frozen=stage.frozen, lr_scale=stage.lr_scale)
        except ValueError as error:
            raise ValueError(f"stage '{stage.name}': {error}") from error

    def begin_stage(self, stage: Stage, steps: int) -> None:
        """Freezes the layer groups that ``stage`` freezes and sets the rates of the next ``configure_optimizers``.

        Args:
            stage: the stage that starts or is resumed.
            steps: optimizer steps of the whole stage.
        """
        self.stage, self.stage_steps, self.lr = stage, steps, stage.lr
        self.set_stage(stage)
        groups = self._groups()
        freeze_(groups, frozen_count(len(groups), stage.frozen))
        self.train(self.training)

    def train(self, mode: bool = True) -> "ImageTask":
        """Sets the mode of all modules except those that the stage keeps in eval mode.

        Lightning calls this before every epoch and after every validation, so frozen batch norms have to be excluded
        here to keep their statistics.
        """
        super().train(mode)
        if mode and self.stage is not None:
            groups = self._groups()
            eval_(groups[: frozen_count(len(groups), self.stage.frozen)])
            eval_batch_norm_(groups[: frozen_bn_count(len(groups), self.stage.frozen_bn)])
        return self

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Builds a new Adam and the schedule of the stage, without the frozen groups."""
        if self.stage is None:
            raise RuntimeError("begin_stage(stage, steps) has to be called before the optimizer is built")
        groups = param_groups(self._groups(), lr=self.lr, lr_scale=self.stage.lr_scale)
        low, high = self.momentum if isinstance(self.momentum, tuple) else (self.momentum, self.momentum)
        optimizer = torch.optim.Adam(
            groups, betas=(high, 0.999), weight_decay=self.weight_decay, fused=self._fuses_adam(groups)
        )
        steps = max(self.stage_steps, MIN_SCHEDULE_STEPS)
        schedule = build_schedule(optimizer, self.stage, steps=steps, momentum=(low, high))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _fuses_adam(self, groups: Sequence[Mapping[str, Any]]) -> bool:
        """Whether Adam runs as one kernel for all parameters: on CPU and CUDA, except with float16's loss scaling.

        With loss scaling, a fused optimizer removes the scale itself, and Lightning refuses to clip its gradients.
        """
        scaler = getattr(self._trainer.precision_plugin, "scaler", None) if self._trainer is not None else None
        devices = {parameter.device.type for group in groups for parameter in group["params"]}
        return scaler is None and devices <= {"cpu", "cuda"}

    def _groups(self) -> list[list[nn.Module]]:
        net: Any = self.net  # checked in __init__; nn.Module's attributes are not typed
        groups: list[list[nn.Module]] = net.layer_groups()
        return groups


def with_total(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Adds the sum of ``losses`` under ``"loss"``.

    >>> with_total({"pixel": torch.tensor(1.0), "vgg5": torch.tensor(2.0)})["loss"]
    tensor(3.)
    """
    return {**losses, "loss": torch.stack(list(losses.values())).sum()}
