"""Predicts unfinished images, in a process of its own: ``python -m experiments.label.suggest CHECKPOINT LIST``.

``LIST`` has one JSON object per line: ``key``, ``image`` and ``target``. For every image a suggestion is written to
``target`` and its doubt to ``suggestions.jsonl`` beside the list.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from datamodules.errors import DataError
from datamodules.io.image import read_image
from datamodules.io.resize import resize_image
from datamodules.io.tensors import image_tensor
from experiments.label.folder import SUGGESTION_LOG
from experiments.label.journal import Journal
from experiments.label.suggestions import Probs, doubt_of, with_background, write_suggestion
from experiments.runs.checkpoint import load_checkpoint
from experiments.runs.trained_module import build_module
from lightning_modules.base import ImageTask


def main(argv: Sequence[str]) -> int:
    """Predicts all images of the list; those that cannot be read are left out."""
    checkpoint, listed = Path(argv[0]), Path(argv[1])
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))  # the page needs one
    loaded = load_checkpoint(checkpoint, "segment")
    module = build_module(loaded, trust_config="--trust-config" in argv)
    log = Journal(listed.with_name(SUGGESTION_LOG))
    for line in listed.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        try:
            probs, mirrored = predict(module, Path(entry["image"]), size=loaded.stage.size)
        except DataError as error:
            print(error, flush=True)
            continue
        write_suggestion(Path(entry["target"]), np.asarray((probs + mirrored) / 2, np.float32))
        log.append({"key": entry["key"], "doubt": doubt_of(probs, mirrored)})
    return 0


def predict(module: ImageTask, path: Path, *, size: int) -> tuple[Probs, Probs]:
    """Predicts an image and its mirror image.

    Args:
        module: a segmentation module in eval mode.
        path: the image.
        size: side of the square that the network sees.

    Returns:
        Two arrays ``(C + 1, size, size)``, background first; the second one is mirrored back.

    Raises:
        DataError: if the image cannot be read.
    """
    image = image_tensor(resize_image(read_image(path, for_size=size), size))
    with torch.no_grad():
        both = module(torch.stack([image, image.flip(-1)])).float()
    return with_background(both[0].numpy()), with_background(both[1].flip(-1).numpy())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
