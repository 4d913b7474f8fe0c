"""Rotation, mirroring and light of whole batches on the device of the network, in place of the loader processes."""

from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from datamodules.io.tensors import compact_tensor, writable
from datamodules.segmentation.augment import Draws
from datamodules.segmentation.label_map import IGNORE
from datamodules.segmentation.warp import turn_matrix

#: Keys of a sample that is still to be augmented.
TURN, LIGHT = "turn", "light"


def delayed_sample(image: NDArray[Any], mask: NDArray[Any], draws: Draws, *, name: str) -> dict[str, Any]:
    """A training sample as bytes, with what ``augment_batch`` does to it.

    Args:
        image: ``(S, S, 3)`` uint8.
        mask: ``(S, S)`` uint8, or ``(S, S, 2)``; see ``turn_pair``.
        draws: the random draws of the sample.
        name: its name.

    Returns:
        ``image`` (3, S, S) uint8; ``mask`` as given; ``turn`` (2, 3) float32, the map from a pixel of the result to
        its source, in ``affine_grid``'s coordinates; ``light`` (2,) float32, contrast and brightness; ``name``.
    """
    return {
        "image": compact_tensor(image),
        "mask": torch.from_numpy(writable(mask)),
        TURN: sampling_map(image.shape[0], degrees=draws.degrees, mirror=draws.mirror),
        LIGHT: torch.tensor([draws.contrast, draws.brightness]),
        "name": name,
    }


def sampling_map(size: int, *, degrees: float, mirror: bool) -> Tensor:
    """The inverse of ``turn_matrix`` for squares, in coordinates from -1 (first pixel) to 1 (last pixel).

    >>> sampling_map(3, degrees=0, mirror=True).tolist()
    [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    # Both turn about the center, which is 0 here: no translation, and one unit is the same length in x and y.
    linear = torch.from_numpy(turn_matrix(size, size, degrees=degrees, mirror=mirror)[:, :2])
    # A rotation with or without mirroring is orthogonal: the transpose is the inverse. Adding 0 removes negative zeros.
    return torch.cat([linear.T + 0.0, torch.zeros(2, 1, dtype=torch.float64)], dim=1).float()


def augment_batch(batch: dict[str, Any], *, coverage: bool) -> dict[str, Any]:
    """Augments a batch of ``delayed_sample``s and converts it to a ``SegmentBatch``.

    Departures from ``turn_pair`` and ``change_light``: values are not rounded between the two, and coordinates are
    not rounded to 1/32 of a pixel as OpenCV does.

    Args:
        batch: as collated, on any device.
        coverage: whether masks are interpolated linearly, or by nearest neighbor.

    Returns:
        ``image`` (N, 3, S, S) float32 in [0, 1], ``mask`` as in ``SegmentBatch``, and ``name``.
    """
    images, mask = batch["image"].float().div_(255), batch["mask"]
    planes = mask.movedim(-1, 1) if mask.ndim == 4 else mask[:, None]
    grid = F.affine_grid(batch[TURN], list(images.shape), align_corners=True)
    turned = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
    moved = F.grid_sample(
        planes.float(), grid, mode="bilinear" if coverage else "nearest", padding_mode="reflection", align_corners=True
    )
    contrast, brightness = batch[LIGHT].view(-1, 2, 1, 1, 1).unbind(1)
    image = turned.mul_(1 + contrast).add_(brightness).clamp_(0, 1)
    return {"image": image, "mask": _target(moved, coverage=coverage), "name": batch["name"]}


def _target(moved: Tensor, *, coverage: bool) -> Tensor:
    """Interpolated masks ``(N, 1 or 2, S, S)`` as targets, see ``mask_target``."""
    if not coverage:
        return moved[:, 0].round().long()
    target = moved[:, 0].div(255)
    # As with 8 bits: what interpolation makes ignored by less than half a gray level is not ignored.
    return target if moved.shape[1] == 1 else target.masked_fill(moved[:, 1] >= 0.5, IGNORE)
