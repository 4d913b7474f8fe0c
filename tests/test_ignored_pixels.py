"""Pixels that are ignored with one class, from the stored mask to losses, scores and figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.masks import EXTRA, MISSED
from callbacks.visualization.precision_recall import precision_recall
from callbacks.visualization.segmentation import SegmentationFigures
from datamodules.errors import DataError
from datamodules.loading.sampler import Key
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.folder import FolderDataModule
from datamodules.segmentation.label_map import binary_label_map, threshold_label_map
from datamodules.segmentation.mask_encodings import known_coverage, mask_target
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule
from lightning_modules.segmentation_metrics import accuracy, count, image_dice
from models.losses.cross_entropy import bce, outline
from models.losses.mask_target import IGNORE
from models.losses.overlap import binary_dice_loss, binary_tversky_loss
from models.losses.segmentation import LossOptions, binary_losses

STAGE = Stage(name="whole", size=8, batch_size=1, epochs=1, lr=0.1)


def stored(*, ignored: int, foreground: int) -> NDArray[np.uint8]:
    """8 x 8: the left half is background, then two columns of the object and two that are ignored."""
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:6], mask[:, 6:] = foreground, ignored
    return mask


def write_data(root: Path, mask: NDArray[np.uint8], count: int = 5) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        image = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


@pytest.fixture
def masked() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    target = (torch.rand(3, 9, 7, generator=g) > 0.6).float()
    target[torch.rand(3, 9, 7, generator=g) > 0.7] = IGNORE
    return torch.randn(3, 1, 9, 7, generator=g), target


@pytest.mark.parametrize(("ignored", "foreground"), [(255, 1), (128, 255), (7, 1)])
def test_any_stored_value_is_ignored(tmp_path: Path, ignored: int, foreground: int) -> None:
    root = write_data(tmp_path / "data", stored(ignored=ignored, foreground=foreground))
    data = FolderDataModule(root=root, classes=["leaf"], ignore=ignored, cache_dir=tmp_path / "c", num_workers=0)
    data.prepare([STAGE])
    row = [0.0] * 4 + [1.0] * 2 + [float(IGNORE)] * 2
    assert data.val_set(STAGE)[Key(0, 0)]["mask"].tolist() == [row] * 8  # type: ignore[index]
    assert data.test_set(STAGE)[Key(0, 0)]["mask"].tolist() == [[int(value) for value in row]] * 8  # type: ignore[index]


def test_the_summary_and_the_errors_name_the_ignored_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_data(tmp_path / "data", stored(ignored=255, foreground=1))
    with pytest.raises(DataError, match="set ignore to 255"):
        binary_label_map({0: root, 1: root, 255: root})
    FolderDataModule(root=root, classes="leaf", ignore=255, cache_dir=tmp_path / "c", num_workers=0).prepare([STAGE])
    assert "0 = background 50.0%, 1 = leaf 25.0%, 255 = ignored 25.0%" in capsys.readouterr().out
    with pytest.raises(DataError, match="no pixel differs from 0 and the ignored 255"):
        binary_label_map({0: root, 255: root}, ignore=255)


def test_threshold_leaves_the_ignored_value_out() -> None:
    values = np.array([[0, 127, 128, 200, 255]], np.uint8)
    numbers = threshold_label_map(128, ignore=255).apply(values, Path("a.png"))
    np.testing.assert_array_equal(numbers, [[0, 0, 1, 1, IGNORE]])


def test_coverage_is_that_of_the_part_that_counts() -> None:
    # a quarter object, a quarter ignored: a third of the rest; half ignored stays, more than half does not
    covered, ignored = np.array([[64, 51, 0]], np.uint8), np.array([[63, 127, 153]], np.uint8)
    assert known_coverage(covered, ignored).tolist() == [[[85, 0], [102, 0], [0, 255]]]


def test_rotation_ignores_pixels_that_are_partly_ignored() -> None:
    mask = np.zeros((32, 32, 2), np.uint8)
    mask[..., 0], mask[:, 16:, 0], mask[:, 16:, 1] = 255, 0, 255
    _, turned = Augment(rotate=20, flip=False, light=0, coverage=True)(np.zeros((32, 32, 3), np.uint8), mask, seed=1)
    target = mask_target(turned, coverage=True)
    assert set(target.unique().tolist()) == {1.0, float(IGNORE)}  # no fraction of an ignored pixel is left


def test_losses_agree_with_segmentation_models_pytorch(masked: tuple[Tensor, Tensor]) -> None:
    logits, target = masked
    dice = smp.losses.DiceLoss("binary", smooth=0.0, ignore_index=IGNORE)
    expected = [dice(logits[i : i + 1], target[i : i + 1, None]) for i in range(3)]
    torch.testing.assert_close(binary_dice_loss(logits, target), torch.stack(expected).mean())
    tversky = smp.losses.TverskyLoss("binary", smooth=0.0, ignore_index=IGNORE, alpha=0.3, beta=0.7)
    expected = [tversky(logits[i : i + 1], target[i : i + 1, None]) for i in range(3)]
    torch.testing.assert_close(binary_tversky_loss(logits, target, alpha=0.3, beta=0.7), torch.stack(expected).mean())
    known = target != IGNORE
    entropy = [F.binary_cross_entropy_with_logits(x[0][k], t[k]) for x, t, k in zip(logits, target, known, strict=True)]
    torch.testing.assert_close(bce(logits, target), torch.stack(entropy).mean())


def test_ignored_pixels_get_no_gradient_from_any_loss(masked: tuple[Tensor, Tensor]) -> None:
    logits, target = masked
    options = LossOptions(dice_weight=1.0, tversky_weight=1.0, lovasz_weight=1.0, edge_weight=2.0, focal_gamma=2.0)
    logits.requires_grad_()
    torch.stack(list(binary_losses(logits, target, options).values())).sum().backward()
    assert logits.grad is not None
    assert logits.grad[:, 0][target == IGNORE].abs().max() == 0
    assert logits.grad[:, 0][target != IGNORE].abs().min() > 0


def test_the_border_of_the_ignored_part_is_no_outline() -> None:
    target = torch.tensor([[[0.0, 0.0, IGNORE, 1.0, 1.0, 1.0, IGNORE]]])
    known = target != IGNORE
    assert outline(target, radius=1)[known].tolist() == [0.0] * 5
    # Windows that reach over the ignored pixel see the step.
    assert outline(target, radius=2)[0, 0, 1:4].tolist() == [1.0, 1.0, 1.0]


def test_scores_agree_with_those_of_the_other_pixels(masked: tuple[Tensor, Tensor]) -> None:
    logits, target = masked
    preds, known = logits[:, 0] > 0, target != IGNORE
    table = count(preds, target.to(torch.uint8), classes=1)
    for number in range(3):
        alone, truth = preds[number][known[number]].long()[None], target[number][known[number]].long()[None]
        stats: Any = smp.metrics.get_stats(alone, truth, mode="binary")
        dice = smp.metrics.f1_score(*stats, reduction="micro").item()
        assert image_dice(table, classes=1)[number].item() == pytest.approx(dice)
        assert accuracy(table)[number].item() == pytest.approx((alone == truth).float().mean().item())


def test_validation_counts_no_ignored_pixel() -> None:
    class Everything(nn.Conv2d):
        def layer_groups(self) -> list[list[nn.Module]]:
            return [[self]]

    net = Everything(3, 1, 1)
    nn.init.zeros_(net.weight)
    nn.init.constant_(net.bias, 9.0)  # type: ignore[arg-type]
    module = SegmentationModule(net=net)
    mask = torch.tensor([[[1.0, 1.0], [0.0, IGNORE]]])
    output = module.validation_step({"image": torch.zeros(1, 3, 2, 2), "mask": mask, "name": ["a"]})
    assert output is not None
    assert output["score"].item() == pytest.approx(2 * 2 / (2 + 3))
    assert module.val_scores.compute()["accuracy"].item() == pytest.approx(2 / 3)


def test_figures_mark_no_ignored_pixel() -> None:
    figures = SegmentationFigures(classes=("leaf",))
    mask = torch.full((16, 16), float(IGNORE))
    mask[0, 0] = 1.0
    for prob, color in ((1.0, EXTRA), (0.0, MISSED)):
        probs = torch.full((1, 16, 16), prob)
        probs[0, 0, 0] = 1.0
        sample = Sample(
            name="a", score=1.0, inputs={"image": torch.zeros(3, 16, 16), "mask": mask}, outputs={"probs": probs}
        )
        drawn = figures.draw_sample(sample, note="")[:, 100:-40, 490:]  # the large panel, without the legend
        assert not (drawn == torch.tensor(color, dtype=torch.uint8).view(3, 1, 1)).all(0).any()
    curves = precision_recall(torch.tensor([[0.9], [0.2]]), torch.tensor([1.0, IGNORE]), ["leaf"])
    assert curves[0].precision[100].item() == 1.0
