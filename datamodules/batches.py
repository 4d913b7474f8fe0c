"""The types of batches and of the outputs of steps, shared by data modules, modules and callbacks."""

from fractions import Fraction
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class SegmentBatch(TypedDict):
    """Images and masks at the stage's size, from the training and validation loaders.

    If the stage crops, the validation loader gives whole images one by one: S, S are then their height and width, and
    ``image`` is uint8.
    """

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    # one class: (N, S, S) float32, foreground in [0, 1]; several: (N, S, S) int64 class numbers; 255 where ignored
    mask: Tensor
    name: list[str]  # N names relative to the data's root, for messages and tables


class NativeSegmentBatch(TypedDict):
    """Images at the network's size and masks at each image's own size, from the test loader."""

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]; or (1, 3, h, w) uint8 if the stage crops
    mask: list[Tensor]  # N of (H, W) uint8: one class 0/1, several class numbers; 255 where ignored
    name: list[str]


class PredictBatch(TypedDict):
    """Images of a prediction, and what their results need besides."""

    # (N, 3, S, S) float32, RGB in [0, 1], or (1, 3, h, w) uint8 of a whole image; zeros if it could not be read
    image: Tensor
    original: list[NDArray[np.uint8] | None]  # N of (H, W, 3) RGB; None if not needed or not readable
    size: list[tuple[int, int]]  # N of (H, W) as displayed; (0, 0) if it is not readable
    index: list[int]  # N indices in the list of all images
    path: list[str]  # N files, as the user named them
    name: list[str]  # N names of results: relative, with "/", without suffix, unique
    problem: list[str]  # N reasons why an image could not be read; "" if it was


class ImageBatch(PredictBatch):
    """One image at its own size and depth; otherwise as ``PredictBatch``.

    ``image`` is (1, 3, H, W) uint8, or int32 from 0 to 65535 if the file has 16 bits.
    """


class FrameBatch(ImageBatch):
    """One frame of a video: as ``ImageBatch``, always with its ``original``."""

    time: Fraction  # presentation time in seconds


class ImageExtras(NamedTuple):
    """Properties of an image besides its colors, which are kept in its result."""

    gray: bool  # whether the file declares its colors as gray
    alpha: NDArray[np.uint8] | NDArray[np.uint16] | None  # (H, W) as displayed; None if it is opaque
    icc: bytes | None  # color profile
    exif: bytes | None  # with the orientation set to upright


class PairBatch(TypedDict):
    """Degraded or small images and their targets, from the training and validation loaders."""

    low_res: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    high_res: Tensor  # (N, 3, scale * S, scale * S) float32, RGB in [0, 1]
    name: list[str]  # N names relative to the data's root


class NativePairBatch(TypedDict):
    """Whole images and their targets, each at its own size, from the test loader."""

    low_res: list[Tensor]  # N of (3, H, W) float32, RGB in [0, 1]
    high_res: list[Tensor]  # N of (3, scale * H, scale * W) float32, RGB in [0, 1]
    name: list[str]


class PairOutput(TypedDict):
    """Output of a super-resolution step: ``loss`` for the trainer, the rest (detached) for the figures."""

    loss: Tensor  # () float32
    preds: Tensor  # (N, 3, scale * S, scale * S) float32, RGB, about [0, 1]
    score: Tensor  # (N,) float32, PSNR in dB, for "worst of the epoch"
    ssim: Tensor  # (N,) float32
    bicubic: Tensor  # (N, 3, scale * S, scale * S) float32, the input after bicubic interpolation
    bicubic_psnr: Tensor  # (N,) float32
    bicubic_ssim: Tensor  # (N,) float32


class StyleBatch(TypedDict):
    """Content images: patches at the stage's size, from the loaders of training, validation and test."""

    content: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    style: Tensor  # (N,) int64, index of the style image that it is rendered after
    name: list[str]  # N names relative to the data's root


class StyleOutput(TypedDict):
    """Output of a style step: ``loss`` for the trainer, the rest (detached) for the figures."""

    loss: Tensor  # () float32
    preds: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]: the stylized images
    score: Tensor  # (N,) float32, each image's combined loss, for "worst of the epoch": the higher, the worse


class SegmentOutput(TypedDict):
    """Output of a segmentation step: ``loss`` for the trainer, the rest (detached) for the figures."""

    loss: Tensor  # () float32, with its graph in training
    probs: Tensor  # one class: (N, 1, S, S); several: (N, C, S, S); float32 in [0, 1]
    score: Tensor  # (N,) float32, the image's Dice (one class) or accuracy (several), for "worst of the epoch"
