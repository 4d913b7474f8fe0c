"""The Python lines of the document on exports run as they are written."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers import tiny_images
from tests.helpers.checkpoints import segment_checkpoint, sr_checkpoint
from tests.helpers.tiny_images import noise

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)"),
]
DOCUMENT = Path(__file__).parents[1] / "experiments/export/README.md"


def test_lines_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) >= 20
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKROOM_RUN_FOLDER", "")
    segment_checkpoint(Path("runs/segment/sample/checkpoints/best.ckpt"))
    sr_checkpoint(Path("runs/sr/sample/checkpoints/best.ckpt"))
    tiny_images.folders(Path("images"))
    Image.fromarray(noise(1, 48, 64)).save("image.jpg")
    # a small network without downloads, on the CPU
    quiet = (
        '{"data.classes": ["dog"], "data.num_workers": 0, "data.cache_dir": "cache", "model.net.pretrained": "none", '
    )
    quiet += '"trainer.accelerator": "cpu", "trainer.precision": "32-true"}'
    code = code.replace('{"data.classes": ["dog"]}', quiet).replace('device="auto"', 'device="cpu"')
    names: dict[str, Any] = {}
    exec(compile(code, DOCUMENT.name, "exec"), names)
    assert names["names"] == ("car",)
    assert (names["probs"].shape, names["mask"].size, names["image"].size) == ((1, 48, 64), (64, 48), (128, 96))
    assert (names["array"].shape, names["array"].dtype) == ((96, 128, 3), np.uint8)
    assert tuple(names["tensor"].shape) == (4, 3, 96, 128)
    assert (names["first"].size, names["second"].size) == ((128, 96), (256, 192))
    assert names["larger"].size == (128, 96)
    assert names["run"].finished
    assert (names["dog"].classes, names["dog"].mask.shape) == (("dog",), (48, 64))
