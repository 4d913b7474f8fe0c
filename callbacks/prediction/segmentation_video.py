"""The videos that ``predict`` writes for segmentation: masks, overlays, cut-outs with alpha, and composites."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.prediction.matting import composite, resize_to_cover
from callbacks.prediction.segmentation_layers import SegmentationLayers
from callbacks.prediction.video_file import FFV1, H264, PRORES, VideoCodec

Frame = NDArray[np.uint8]

#: How each kind of video is stored, and whether it has the sound of the source.
VIDEO_KINDS: Mapping[str, tuple[VideoCodec, bool]] = {
    "mask": (FFV1, False),
    "overlay": (H264, True),
    "cutout": (PRORES, False),
    "composite": (H264, True),
}


class SegmentationFrames:
    """Makes the frames of all kinds of videos.

    Args:
        layers: draws the predictions.
        kinds: which of ``VIDEO_KINDS`` are written.
        background: what is put behind composites at a time in seconds (h, w, 3), scaled to cover the frame.
    """

    def __init__(
        self, layers: SegmentationLayers, kinds: frozenset[str], background: Callable[[Fraction], Frame] | None
    ) -> None:
        self.layers, self.kinds, self.background = layers, kinds, background

    def __call__(self, prediction: NDArray[Any], original: Frame, time: Fraction) -> dict[str, Frame]:
        """Returns the frames by kind.

        Args:
            prediction: (C, h, w) float32 probabilities.
            original: frame (H, W, 3).
            time: of the frame, in seconds.
        """
        segmented = self.layers.segment(prediction, (original.shape[0], original.shape[1]))
        frames: dict[str, Frame] = {}
        if "mask" in self.kinds:
            frames["mask"] = self.layers.mask(segmented)
        if "overlay" in self.kinds:
            frames["overlay"] = self.layers.overlay(segmented, original)
        if self.kinds & {"cutout", "composite"}:
            cutout = frames["cutout"] = self.layers.cutout(segmented, original)
            if self.background is not None:
                frames["composite"] = composite(cutout, resize_to_cover(self.background(time), segmented.size))
        return frames
