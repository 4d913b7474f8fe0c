"""A trained network as a function: images in, masks or images out, at their own size."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from threading import Lock
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from callbacks.prediction.png import add_extras
from callbacks.prediction.regions import Cleaning
from datamodules.batches import ImageExtras
from datamodules.errors import DataError
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.image import image_size, pillow_to_rgb, read_image
from datamodules.io.native_depth import pillow_colors, pillow_extras, read_extras, read_native_depth
from datamodules.prediction.network_input import network_input
from experiments.cli.precision import cpu_has_bf16, slow_bf16
from experiments.inference.inputs import ImageInput, as_path, check_array, check_tensor, to_uint8
from experiments.inference.results import Segmentation

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Result = Segmentation | Image.Image | NDArray[Any] | Tensor
_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class Predictor:
    """Applies a network to images, as ``predict`` does.

    The result has the size of the image, times the scale of super-resolution, and the kind of the input:

    ===========================================  ===================  ========================================
    input                                        segment              sr, style
    ===========================================  ===================  ========================================
    file, PIL image                              ``Segmentation``     PIL image with alpha, profile and EXIF
    array (H, W, 3) uint8                        ``Segmentation``     array of the same dtype
    tensor (N, 3, H, W) in [0, 1]                list of N            tensor float32 on the tensor's device
    list or tuple of these                       list                 list
    ===========================================  ===================  ========================================

    A file gives the same pixels as the file that ``predict`` writes for it. Pillow has no 16-bit colors: such files
    give 8 bits here; give their pixels as a uint16 array to get 16. Threads may share one predictor: they take turns
    at the network, and prepare images and results at the same time.

    Args:
        network: an ``InferenceNetwork``, or the module of a task that has none; in eval mode, its stage set.
        task: its task.
        size: side of the square that a segmentation network sees, in pixels.
        whole: whether it sees images with their proportions kept; ``size`` then limits the shorter side.
        device: as torch names it; ``"auto"`` takes an accelerator if there is one.
        precision: as ``--trainer.precision`` of the command line.
        cleaning: how masks are cleaned by their regions.
        bits: bits that the values of 16-bit files use.

    Raises:
        ValueError: if device or precision is unknown.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        task: str,
        size: int,
        whole: bool = False,
        device: str | torch.device = "auto",
        precision: Precision = "32-true",
        cleaning: Cleaning | None = None,
        bits: int = FULL_BITS,
    ) -> None:
        if precision != "32-true" and precision not in _AUTOCAST:
            raise ValueError(f"precision {precision!r}: must be 32-true, {' or '.join(_AUTOCAST)}")
        self._device = _device(device)
        if precision != "32-true" and self._device.type == "cpu" and not cpu_has_bf16():
            warnings.warn(slow_bf16(precision), stacklevel=2)
        self._autocast_dtype = _AUTOCAST.get(precision)
        self._network = network.requires_grad_(False).to(self._device)
        self._cleaning, self._bits = cleaning, bits
        self._lock = Lock()  # tiles of instance norm share statistics, which are kept in the network
        self.task, self.size, self.whole, self.precision = task, size, whole, precision

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of a segmentation network; empty for other tasks."""
        return tuple(getattr(self._network, "classes", ()))

    @property
    def scale(self) -> int:
        """How many times larger the result is than the image."""
        return int(getattr(self._network, "scale", 1))

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    @overload
    def __call__(self, images: Sequence[ImageInput]) -> list[Any]: ...

    @overload
    def __call__(self, images: ImageInput) -> Any: ...

    def __call__(self, images: ImageInput | Sequence[ImageInput]) -> Any:
        """Applies the network to an image, or to each of a list.

        Args:
            images: see the class.

        Raises:
            DataError: if an image cannot be read, or has another form than those above.
        """
        if isinstance(images, list | tuple):
            return [self(image) for image in images]
        if not isinstance(images, Image.Image | str | PathLike | np.ndarray | Tensor):
            raise DataError(
                f"{type(images).__name__} is no image: give a path, a PIL image, an array (H, W, 3) uint8, a tensor "
                "(N, 3, H, W) in [0, 1], or a list of these"
            )
        if isinstance(images, Tensor):
            check_tensor(images)
        return self._segment(images) if self.classes else self._map_image(images)

    def __repr__(self) -> str:
        what = f"classes: {', '.join(self.classes)}" if self.classes else f"{self.scale}x"
        return f"Predictor({self.task}, {what}, {self.device}, {self.precision})"

    def _segment(self, image: ImageInput) -> Segmentation | list[Segmentation]:
        if isinstance(image, Tensor):
            return [self._segment_array(array, array.shape[:2]) for array in to_uint8(image)]
        if (path := as_path(image)) is not None:
            return self._segment_array(read_image(path, for_size=self.size, bits=self._bits), image_size(path))
        if isinstance(image, Image.Image):
            array = pillow_to_rgb(image)
        else:
            array = np.asarray(image)
            check_array(array, dtypes=(np.uint8,))
        return self._segment_array(array, array.shape[:2])

    def _segment_array(self, array: NDArray[np.uint8], size: tuple[int, ...]) -> Segmentation:
        batch = network_input(array, self.size, whole=self.whole, displayed=(size[0], size[1]))[None]
        (probs,) = self._run(batch).float().numpy()
        return Segmentation(
            probs,
            size=(size[0], size[1]),
            classes=self.classes,
            threshold=float(getattr(self._network, "threshold", 0.5)),
            cleaning=self._cleaning,
        )

    def _map_image(self, image: ImageInput) -> Image.Image | NDArray[Any] | Tensor:
        """Super-resolution and style: from an image to an image of the same kind."""
        if isinstance(image, Tensor):
            results = [self._run(one[None].float()).clamp(0, 1) for one in image]
            return torch.cat(results).to(image.device)
        if (path := as_path(image)) is not None:
            return _to_pillow(self._map_array(read_native_depth(path, bits=self._bits)), read_extras(path))
        if isinstance(image, Image.Image):
            return _to_pillow(self._map_array(pillow_colors(image)), pillow_extras(image))
        array = np.asarray(image)
        check_array(array, dtypes=(np.uint8, np.uint16))
        return self._map_array(array)

    def _map_array(self, array: NDArray[Any]) -> NDArray[Any]:
        """Maps (H, W, 3) to (scale * H, scale * W, 3) of the same dtype, rounded."""
        white = np.iinfo(array.dtype).max
        integers = array if array.dtype == np.uint8 else array.astype(np.int32)  # torch cannot compute with uint16
        batch = torch.from_numpy(np.ascontiguousarray(integers.transpose(2, 0, 1)))[None]
        levels = self._run(batch)[0].clamp_(0, 1).mul_(white).round_()
        return np.ascontiguousarray(levels.permute(1, 2, 0).numpy().astype(array.dtype))

    def _run(self, images: Tensor) -> Tensor:
        """Maps images to the network's result, float32 on the CPU."""
        with self._lock, torch.no_grad(), self._autocast():
            result: Tensor = self._network(images.to(self._device))
            return result.float().cpu()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._autocast_dtype)


def _device(device: str | torch.device) -> torch.device:
    if device == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device {device!r}: {str(error).splitlines()[0]}") from error


def _to_pillow(pixels: NDArray[Any], extras: ImageExtras) -> Image.Image:
    channels = add_extras(pixels, extras)
    if channels.dtype == np.uint16 and channels.ndim == 3:
        channels = (channels // 257).astype(np.uint8)
    image = Image.fromarray(channels)
    image.info |= {key: value for key, value in (("icc_profile", extras.icc), ("exif", extras.exif)) if value}
    return image
