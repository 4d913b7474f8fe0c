"""A network that stands still while a file is there, so that a test can choose the moment of a signal."""

import time
from pathlib import Path

from torch import Tensor

from tests.helpers.tiny_segment import DiscNet

HOLD = Path("hold")  # in the run's working directory
HELD = Path("held")


class HeldNet(DiscNet):
    """Touches ``held`` and waits, as long as ``hold`` is there. Training steps only where ``hold`` holds that word."""

    def forward(self, image: Tensor) -> Tensor:
        while HOLD.exists() and self.training == (HOLD.read_text(encoding="utf-8") != "validation"):
            HELD.touch()
            time.sleep(0.01)
        return super().forward(image)
