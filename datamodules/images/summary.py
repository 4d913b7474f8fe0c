"""The summary of a set of images that is printed when a run starts."""

from typing import Literal

from datamodules.images.splits import ImageSplits
from datamodules.io.bit_depth import depth_notes
from datamodules.storage.file_systems import as_given


def split_lines(found: ImageSplits, *, side: int | Literal["patch"], bits: int) -> list[str]:
    """Lines with the number of images, their splits, their sizes and their depth.

    Args:
        found: the images by split.
        side: shorter side in pixels to which larger images are resized; ``"patch"``: that of the stage's patch.
        bits: bits that 16-bit images use.
    """
    splits = found.splits
    counts = [f"{split} {len(images)}" for split, images in splits.items()]
    if splits["test"] == splits["val"]:
        counts[-1] = "test as val"
    shorter = sorted(image.shorter() for images in splits.values() for image in images)
    resized = "the patch" if side == "patch" else f"{side} at most"
    # By name, since the test images may be those of the validation.
    largest = {image.name: image.largest for images in splits.values() for image in images}
    return [
        f"data: {as_given(found.root)}",
        "  split: " + ", ".join(counts),
        f"  shorter sides: {shorter[0]} to {shorter[-1]} px, median {shorter[len(shorter) // 2]}; resized to {resized}",
        *depth_notes(largest.values(), bits),
    ]
