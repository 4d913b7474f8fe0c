"""A network that waits while a file exists, so that a test can choose the moment of a signal."""

import time
from pathlib import Path

from torch import Tensor

from tests.helpers.tiny_segment import DiscNet

HOLD = Path("hold")  # in the run's working directory
HELD = Path("held")


class HeldNet(DiscNet):
    """Creates ``held`` and waits while ``hold`` exists; if ``hold`` contains a word, in training steps only."""

    def forward(self, image: Tensor) -> Tensor:
        while HOLD.exists() and self.training == (HOLD.read_text(encoding="utf-8") != "validation"):
            HELD.touch()
            time.sleep(0.01)
        return super().forward(image)
