"""The pool of workers beside OpenCV's own threads."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.tiny_pictures import disc, save

SCRIPT = """
import sys
from pathlib import Path
import cv2
import numpy as np
from datamodules.mask_values import count_values
from datamodules.parallel import map_files

for _ in range(20):
    cv2.warpAffine(np.zeros((512, 512, 3), np.uint8), np.float32([[1, 0.1, 0], [0, 1, 0]]), (512, 512))
    counts = map_files(count_values, sorted(Path(sys.argv[1]).iterdir()), workers=2, title="counting")
    assert [len(count) for count in counts] == [2] * 20, counts
"""


def test_a_pool_starts_after_opencv_has_used_its_threads(tmp_path: Path) -> None:
    """With ``cv2.setNumThreads(1)`` in the workers most such pools wait for ever."""
    for number in range(20):
        save(tmp_path / f"{number:02}.png", disc(number) * np.uint8(255))
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=root, timeout=60, check=True)
