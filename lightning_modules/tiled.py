"""Base class of the tasks that map whole images to images: tiled inference and the conversion to 8 or 16 bits."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from datamodules.batches import ImageBatch
from lightning_modules.base import ImageTask
from models.style.tiled_instance_norm import shared_statistics
from models.tiled_inference import OVERLAP, TILE, tiled_inference

#: Value of white by integer type; int32 carries 16-bit images, since torch cannot compute with uint16.
_WHITE = {torch.uint8: 255, torch.int32: 65535}


class Tiling(NamedTuple):
    """How an image is divided, in pixels of the input.

    Attributes:
        scale: magnification of the net.
        tile: side of a tile; an image that fits into one is not divided.
        overlap: of neighboring tiles.
        multiple: tiles start at multiples of this number.
    """

    scale: int = 1
    tile: int = TILE
    overlap: int = OVERLAP
    multiple: int = 1


class TiledTask(ImageTask):
    """Implements ``forward`` and ``predict_step`` for whole images of any size by tiled inference.

    With batch norm, tiles that overlap by the receptive field agree with the whole image. With instance norm,
    per-tile statistics would give each tile its own contrast. All tiles therefore use the statistics of the whole
    image downscaled to one tile (``shared_statistics``).
    """

    @property
    def tiling(self) -> Tiling:
        """How large images are divided."""
        return Tiling()

    def run_net(self, images: Tensor) -> Tensor:
        """Maps float images (N, 3, H, W) in [0, 1] to the result; by default one pass through the net."""
        out: Tensor = self.net(images)
        return out

    def forward(self, image: Tensor) -> Tensor:
        """Maps one image of any size to the result, in tiles if it is large.

        Args:
            image: ``(1, 3, H, W)`` RGB: float in [0, 1], uint8, or int32 from 0 to 65535. Integers become floats tile
                by tile, so that a large image is never in memory as floats.

        Returns:
            float32 ``(1, 3, scale * H, scale * W)``, about [0, 1].
        """
        white, tiling = _WHITE.get(image.dtype, 1), self.tiling

        def run(tile: Tensor) -> Tensor:
            return self.run_net(tile.float() / white)

        if max(image.shape[2:]) <= tiling.tile:
            return run(image).float()
        with shared_statistics(self.net, run, image, side=tiling.tile):
            return tiled_inference(run, image, **tiling._asdict())

    def predict_step(self, batch: ImageBatch) -> Tensor:
        """Returns the result ``(1, 3, scale * H, scale * W)`` in the depth of the input: uint8, or uint16 for int32."""
        image = batch["image"]
        result: Any = self(image)
        result = result.clamp_(0, 1).mul_(_WHITE[image.dtype]).round_()  # in place: it can take half a gigabyte
        integers: Tensor = result.to(torch.uint16 if image.dtype == torch.int32 else torch.uint8)
        return integers
