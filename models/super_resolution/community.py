"""Upscalers trained elsewhere (ESRGAN, Real-ESRGAN, SwinIR, ...), built by the library spandrel."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.weights.pretrained import WeightsError, read_state_dict

INSTALL = "pip install '.[zoo]'"


class CommunityUpscaler(nn.Module):
    """Enlarges or restores images with a network of one of spandrel's architectures.

    The architecture and its sizes are recognized from the tensors of a file. ``settings()`` returns them in plain
    values, from which the same network is built without the file; checkpoints store them.

    Images are padded to the sizes that the architecture requires, such as multiples of SwinIR's window, by reflection
    at the right and lower border, and the result is cropped, as spandrel does for inference.

    Args:
        weights: file of weights (``.pth`` or ``.safetensors``), read without running code from it.
        architecture: spandrel's name of the architecture, in place of ``weights``.
        hyperparameters: arguments of the architecture's network.

    Raises:
        WeightsError: if spandrel is not installed or does not know the network, or its images are not RGB.
        ValueError: if not exactly one of ``weights`` and ``architecture`` is given.
    """

    def __init__(
        self,
        *,
        weights: Path | None = None,
        architecture: str | None = None,
        hyperparameters: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if (weights is None) == (architecture is None):
            raise ValueError("CommunityUpscaler needs weights: FILE, a .pth or .safetensors of an upscaler")
        tensors: Mapping[str, Tensor] | None = None
        if weights is not None:
            architecture, hyperparameters, tensors = _recognize(weights)
        self.architecture, self.hyperparameters = str(architecture), dict(hyperparameters or {})
        described = _build(self.architecture, self.hyperparameters)
        if tensors is not None:
            described.model.load_state_dict(tensors)
        if (described.input_channels, described.output_channels) != (3, 3):
            raise WeightsError(
                f"{weights or architecture} maps images of {described.input_channels} channels to "
                f"{described.output_channels}: only RGB networks are supported"
            )
        self.model: nn.Module = described.model.requires_grad_(True).train()
        self._scale, self._sizes = int(described.scale), described.size_requirements
        self._call: Callable[[nn.Module, Tensor], Tensor] = described._call_fn  # __call__ is for inference only
        self.weights_origin = f"weights of {Path(weights).name}" if weights is not None else "random weights"

    @property
    def active_scale(self) -> int:
        """The network's magnification; it has only one.

        Raises:
            ValueError: when another one is set.
        """
        return self._scale

    @active_scale.setter
    def active_scale(self, scale: int) -> None:
        if scale != self._scale:
            raise ValueError(f"this {self.architecture} enlarges {self._scale} times: set scale: {self._scale}")

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, 3, H, W) in [0, 1] to (N, 3, scale * H, scale * W), about [0, 1], not clamped."""
        height, width = images.shape[2:]
        result = self._call(self.model, self._padded(images))
        return result[..., : height * self._scale, : width * self._scale]

    def layer_groups(self) -> list[list[nn.Module]]:
        """One group: the architectures have no common parts."""
        return [[self.model]]

    def settings(self) -> dict[str, Any]:
        """Returns the arguments, in plain values, that build this network without its file."""
        return {"weights": None, "architecture": self.architecture, "hyperparameters": self.hyperparameters}

    def _padded(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        right, bottom = self._sizes.get_padding(width, height)
        if not right and not bottom:
            return images
        reflected = (
            min(right, width - 1),
            min(bottom, height - 1),
        )  # what reflection allows; the rest repeats the border
        images = F.pad(images, (0, reflected[0], 0, reflected[1]), mode="reflect")
        return F.pad(images, (0, right - reflected[0], 0, bottom - reflected[1]), mode="replicate")


def _recognize(path: Path) -> tuple[str, dict[str, Any], Mapping[str, Tensor]]:
    """Returns architecture, hyperparameters and tensors of a file.

    Raises:
        WeightsError: if it is missing, cannot be read, or is of no known architecture.
    """
    spandrel = _spandrel()
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    try:
        found = spandrel.MAIN_REGISTRY.load(spandrel.canonicalize_state_dict(read_state_dict(path)))
    except WeightsError:
        raise
    except Exception as error:  # the detection of an architecture can fail in any way for other tensors
        raise WeightsError(f"{path} holds no weights of an upscaler that spandrel knows") from error
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise WeightsError(f"{path} is of the architecture {found.architecture.name}, which needs more than an image")
    # Defaults that are no plain values, such as the class of a layer, are the architecture's own defaults.
    hyperparameters = {
        name: _plain(value) for name, value in getattr(found.model, "hyperparameters", {}).items() if _is_plain(value)
    }
    return str(found.architecture.id), hyperparameters, found.model.state_dict()


def _build(architecture: str, hyperparameters: Mapping[str, Any]) -> Any:
    """Builds a network with random weights, with spandrel's description of it.

    Raises:
        WeightsError: if there is no such architecture, or it refuses the hyperparameters.
    """
    spandrel = _spandrel()
    support = spandrel.MAIN_REGISTRY.get(architecture)
    if support is None:
        raise WeightsError(f"spandrel has no architecture '{architecture}'")
    package = import_module(type(support.architecture).__module__)
    classes = [value for value in vars(package).values() if isinstance(value, type) and issubclass(value, nn.Module)]
    for network in dict.fromkeys(classes):  # some architectures have several
        try:
            return support.architecture.load(network(**hyperparameters).state_dict())
        except Exception as error:  # of another class
            reason = error
    raise WeightsError(f"the architecture {architecture} cannot be built from its hyperparameters: {reason}")


def _spandrel() -> Any:
    """Imports spandrel.

    Raises:
        WeightsError: naming the extra that installs it.
    """
    try:
        return import_module("spandrel")
    except ImportError as error:
        raise WeightsError(f"networks of other projects need the package spandrel: {INSTALL}") from error


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, bool | int | float | str)


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
