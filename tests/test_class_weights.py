"""Weights of classes: median frequency by hand, and settings that are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer
from PIL import Image
from torch import nn

from datamodules.segmentation.class_weights import median_frequency_weights
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule
from models.losses.cross_entropy import cross_entropy

CLASSES = ("sky", "road", "sign")
STAGE = Stage(name="whole", size=4, batch_size=1, epochs=1, lr=0.1)


class Pointwise(nn.Conv2d):
    """One convolution from colors to logits of three classes."""

    def __init__(self) -> None:
        super().__init__(3, 3, 1)

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self]]


def test_median_frequency_by_hand() -> None:
    # Sky 8 of 16 pixels of one image, road 8 of 16 + 14 of 16 in both, sign 2 of 16 in the second.
    weights = median_frequency_weights([{0: 8, 1: 8}, {1: 14, 2: 2, 255: 4}], classes=3)
    frequencies = [8 / 16, 22 / 32, 2 / 16]  # the median is that of sky
    assert weights == pytest.approx([0.5 / frequency for frequency in frequencies])


def test_a_class_that_never_occurs_has_weight_one() -> None:
    assert median_frequency_weights([{0: 8, 255: 8}], classes=2) == [1.0, 1.0]


def write_streets(root: Path) -> Path:
    """Three training images with an ignored corner, and one for validation that must not count."""
    masks = [[[0, 0, 1, 1]] * 4, [[0, 1, 1, 1]] * 4, [[1, 1, 1, 2]] * 4, [[2] * 4] * 4]
    for number, rows in enumerate(masks):
        split = "val" if number == 3 else "train"
        mask = np.array(rows, np.uint8)
        mask[0, 0] = 9
        for folder, pixels in ((split, np.full((4, 4, 3), 40 * number, np.uint8)), (f"{split}annot", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
    return root


def streets(tmp_path: Path) -> FolderDataModule:
    return FolderDataModule(
        root=write_streets(tmp_path / "data"), classes=CLASSES, ignore=9, cache_dir=tmp_path / "c", num_workers=0
    )


def test_only_training_masks_count_and_the_summary_names_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = streets(tmp_path)
    data.prepare([STAGE])
    # The corner (0, 0) of each mask is ignored: 15 pixels of each count.
    frequencies = [(7 + 3) / 30, (8 + 12 + 11) / 45, 4 / 15]
    expected = [float(np.median(frequencies)) / frequency for frequency in frequencies]
    assert data.class_weights == pytest.approx(expected)
    text = ", ".join(f"{name} {weight:.3g}" for name, weight in zip(CLASSES, expected, strict=True))
    assert f"class weights by median frequency (--model.class_weights auto): {text}" in capsys.readouterr().out


def test_auto_takes_the_weights_of_the_data(tmp_path: Path) -> None:
    data = streets(tmp_path)
    module = SegmentationModule(net=Pointwise(), classes=CLASSES, class_weights="auto", class_weight_power=0.5)
    data.set_stage(STAGE)
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.validate(module, data, verbose=False)
    batch = data.dry_run_batch(STAGE)
    weights = torch.tensor(data.class_weights).sqrt()
    expected = cross_entropy(module.net(batch["image"]), batch["mask"], class_weights=weights)
    torch.testing.assert_close(module.losses(batch)["cross_entropy"], expected)
    assert "_weights" not in module.state_dict()  # checkpoints do not depend on the setting


def test_weights_by_name() -> None:
    named = {"sign": 4.0, "sky": 0.5, "road": 1.0}
    module = SegmentationModule(net=Pointwise(), classes=CLASSES, class_weights=named)
    module.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    module.trainer.datamodule = None  # type: ignore[attr-defined]
    module.setup("fit")
    image, mask = torch.rand(1, 3, 4, 4), torch.tensor([[[0, 1, 2, 255]] * 4])
    expected = nn.functional.cross_entropy(module.net(image), mask, torch.tensor([0.5, 1.0, 4.0]), ignore_index=255)
    torch.testing.assert_close(module.losses({"image": image, "mask": mask, "name": ["a"]})["loss"], expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"sky": 1.0, "road": 1.0, "car": 1.0}, "class_weights names car, but the classes are sky, road, sign"),
        ({"sky": 1.0, "road": 1.0}, "2 weights for 3 classes: sign is missing"),
        ({"sky": 1.0, "road": 1.0, "sign": 0.0}, "class_weights of sign must be above 0, not 0.0"),
    ],
)
def test_wrong_weights_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationModule(net=Pointwise(), classes=CLASSES, class_weights=weights)


def test_one_class_has_no_class_weights() -> None:
    with pytest.raises(ValueError, match="class_weights auto is for several classes"):
        SegmentationModule(net=Pointwise(), classes=("car",), class_weights="auto")
