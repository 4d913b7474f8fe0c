"""What flows from the loaders to the modules and on to the figures: the one vocabulary everybody may import."""

from fractions import Fraction
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class SegmentBatch(TypedDict):
    """Images and masks of one stage size, as the training and validation loaders give them."""

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    mask: Tensor  # one class: (N, S, S) float32, share of foreground in [0, 1]; several: (N, S, S) int64 class numbers
    name: list[str]  # N names relative to the data's root, for messages and tables


class NativeSegmentBatch(TypedDict):
    """Images at the network's size with masks at each image's own size, as the test loader gives them."""

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    mask: list[Tensor]  # N of (H, W) uint8: one class 0/1, several class numbers (255 where ignored)
    name: list[str]


class PredictBatch(TypedDict):
    """Images to work on, of whatever size, with what is needed to write results beside them."""

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]; zeros where the image could not be read
    original: list[NDArray[np.uint8] | None]  # N of (H, W, 3) RGB as displayed; None where not wanted or not readable
    size: list[tuple[int, int]]  # N of (H, W) as displayed; (0, 0) where not readable
    index: list[int]  # N places in the list of all images
    path: list[str]  # N files, as the user named them
    name: list[str]  # N names for results: relative, with "/", without a suffix, all different
    problem: list[str]  # N reasons why an image could not be read; "" where it was


class ImageBatch(PredictBatch):
    """One image to enlarge or mend: as ``PredictBatch``, but ``image`` has the image's own size and depth.

    ``image`` is (1, 3, H, W), uint8, or int32 from 0 to 65535 where the file has 16 bits.
    """


class FrameBatch(ImageBatch):
    """One frame of a video: as ``ImageBatch``, always uint8 and always with its ``original``."""

    time: Fraction  # when it is shown, in seconds


class ImageExtras(NamedTuple):
    """What an image has besides its colors, to be kept in a result."""

    gray: bool  # whether its colors are gray by the file's own word
    alpha: NDArray[np.uint8] | NDArray[np.uint16] | None  # (H, W) as displayed; None where all is opaque
    icc: bytes | None  # color profile
    exif: bytes | None  # with the orientation set to upright


class PairBatch(TypedDict):
    """Spoiled or small images and what they were made from, as the training and validation loaders give them."""

    low_res: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    high_res: Tensor  # (N, 3, scale * S, scale * S) float32, RGB in [0, 1]
    name: list[str]  # N names relative to the data's root


class NativePairBatch(TypedDict):
    """Whole images to be judged, each at its own size, as the test loader gives them."""

    low_res: list[Tensor]  # N of (3, H, W) float32, RGB in [0, 1]
    high_res: list[Tensor]  # N of (3, scale * H, scale * W) float32, RGB in [0, 1]
    name: list[str]


class PairOutput(TypedDict):
    """What a super-resolution step hands to the trainer (``loss``) and to the figures (the rest, detached)."""

    loss: Tensor  # () float32
    preds: Tensor  # (N, 3, scale * S, scale * S) float32, RGB, about [0, 1]
    score: Tensor  # (N,) float32, PSNR in dB, for "worst of the epoch"
    ssim: Tensor  # (N,) float32
    bicubic: Tensor  # (N, 3, scale * S, scale * S) float32, the input enlarged by bicubic interpolation
    bicubic_psnr: Tensor  # (N,) float32
    bicubic_ssim: Tensor  # (N,) float32


class StyleBatch(TypedDict):
    """Images to be repainted: patches of one stage size, from the loaders of training, validation and test."""

    content: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    name: list[str]  # N names relative to the data's root


class StyleOutput(TypedDict):
    """What a style step hands to the trainer (``loss``) and to the figures (the rest, detached)."""

    loss: Tensor  # () float32
    preds: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]: the images in the manner of the painting
    score: Tensor  # (N,) float32, each image's combined loss, for "worst of the epoch": the higher, the worse


class SegmentOutput(TypedDict):
    """What a segmentation step hands to the trainer (``loss``) and to the figures (the rest, detached)."""

    loss: Tensor  # () float32, with its graph in training
    probs: Tensor  # one class: (N, 1, S, S); several: (N, C, S, S); float32 in [0, 1]
    score: Tensor  # (N,) float32, the image's Dice (one class) or accuracy (several), for "worst of the epoch"
