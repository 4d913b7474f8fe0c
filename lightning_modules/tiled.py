"""Base class of the tasks that map whole images to images: tiled inference and the conversion to 8 or 16 bits."""

from typing import Any

import torch
from torch import Tensor

from datamodules.batches import ImageBatch
from lightning_modules.base import ImageTask
from models.tiled_network import WHITE, Tiling, run_tiled


class TiledTask(ImageTask):
    """Implements ``forward`` and ``predict_step`` for whole images of any size by tiled inference."""

    @property
    def tiling(self) -> Tiling:
        """How large images are divided."""
        return Tiling()

    def run_net(self, images: Tensor) -> Tensor:
        """Maps float images (N, 3, H, W) in [0, 1] to the result; by default one pass through the net."""
        out: Tensor = self.net(images)
        return out

    def forward(self, image: Tensor) -> Tensor:
        """Maps one image of any size to the result, in tiles if it is large; see ``run_tiled``.

        Args:
            image: ``(1, 3, H, W)`` RGB: float in [0, 1], uint8, or int32 from 0 to 65535.

        Returns:
            float32 ``(1, 3, scale * H, scale * W)``, about [0, 1].
        """
        return run_tiled(self.net, self.run_net, image, self.tiling)

    def predict_step(self, batch: ImageBatch) -> Tensor:
        """Returns the result ``(1, 3, scale * H, scale * W)`` in the depth of the input: uint8, or uint16 for int32."""
        image = batch["image"]
        result: Any = self(image)
        result = result.clamp_(0, 1).mul_(WHITE[image.dtype]).round_()  # in place: it can take half a gigabyte
        integers: Tensor = result.to(torch.uint16 if image.dtype == torch.int32 else torch.uint8)
        return integers
