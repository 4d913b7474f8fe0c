"""What flows from the loaders to the modules and on to the figures: the one vocabulary everybody may import."""

from typing import TypedDict

from torch import Tensor


class SegmentBatch(TypedDict):
    """Pictures and masks of one stage size, as the training and validation loaders give them."""

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    mask: Tensor  # one class: (N, S, S) float32, share of foreground in [0, 1]; several: (N, S, S) int64 class numbers
    name: list[str]  # N names relative to the data's root, for messages and tables


class NativeSegmentBatch(TypedDict):
    """Pictures at the network's size with masks at each picture's own size, as the test loader gives them."""

    image: Tensor  # (N, 3, S, S) float32, RGB in [0, 1]
    mask: list[Tensor]  # N of (H, W) uint8: one class 0/1, several class numbers (255 where ignored)
    name: list[str]


class SegmentOutput(TypedDict):
    """What a segmentation step hands to the trainer (``loss``) and to the figures (the rest, detached)."""

    loss: Tensor  # () float32, with its graph in training
    probs: Tensor  # one class: (N, 1, S, S); several: (N, C, S, S); float32 in [0, 1]
    score: Tensor  # (N,) float32, the picture's Dice (one class) or accuracy (several), for "worst of the epoch"
