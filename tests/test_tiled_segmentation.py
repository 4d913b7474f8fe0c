"""Segmentation of large images in tiles: the same result as for the whole image, with less memory."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from callbacks.visualization.segmentation import SegmentationFigures
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule
from models.losses.mask_target import IGNORE
from models.segmentation.tiles import choose_tiles
from models.segmentation.unet import UNet
from models.tiled_inference import tiled_inference, tiled_strips


class Local(nn.Module):
    """Three convolutions with a receptive field of 7 pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8, classes, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.layers(image)
        return logits

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self]]


def module(classes: int, **options: Any) -> SegmentationModule:
    torch.manual_seed(0)
    names = tuple(f"class {number}" for number in range(classes))
    task = SegmentationModule(net=Local(classes), classes=names, dice_weight=1.0, **options).eval()
    task.set_stage(Stage(name="crops", size=1000, crop=32, batch_size=1, epochs=1, lr=0.1))
    return task


def large(height: int = 150, width: int = 201) -> Tensor:
    return torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def mask_of(classes: int, height: int = 150, width: int = 201) -> Tensor:
    g = torch.Generator().manual_seed(1)
    mask = torch.randint(0, max(2, classes), (1, height, width), generator=g)
    mask[:, :20] = IGNORE
    return mask.float() if classes == 1 else mask


def test_strips_are_the_whole_result_piece_by_piece() -> None:
    strips = list(tiled_strips(lambda part: part * 2, large().float(), scale=1, tile=64, overlap=16, multiple=16))
    assert len(strips) > 1
    torch.testing.assert_close(torch.cat(strips, dim=2), large().float() * 2)


def test_images_are_divided_if_they_are_large() -> None:
    assert choose_tiles(128, tile="auto", train_size=32) is None
    assert choose_tiles(129, tile="auto", train_size=32) == (1, 64, 32, 32)
    assert choose_tiles(129, tile="auto", train_size=None) is None
    assert choose_tiles(10**4, tile="none", train_size=32) is None
    assert choose_tiles(512, tile=256, train_size=32) == (1, 256, 64, 32)
    with pytest.raises(ValueError, match="tile must be a multiple of 32 from 64 on"):
        module(1, tile=100)


@torch.no_grad()
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_tiles_of_a_local_net_equal_the_whole_image(classes: int, flip: bool) -> None:
    image = large()
    tiled, whole = module(classes, flip=flip), module(classes, flip=flip, tile="none")
    torch.testing.assert_close(tiled(image), whole(image))


@torch.no_grad()
@pytest.mark.parametrize("classes", [1, 3])
def test_validation_and_test_in_tiles_score_as_on_the_whole_image(classes: int) -> None:
    batch: Any = {"image": large(), "mask": mask_of(classes), "name": ["a"]}
    results = {}
    for tile in ("auto", "none"):
        task = module(classes, tile=tile)
        output = task.validation_step(batch)
        assert output is not None
        task.test_step({"image": large(), "mask": [batch["mask"][0].to(torch.uint8)], "name": ["a"]})
        found = task.val_scores.compute()
        results[tile] = (output["score"], found, task.test_scores.counts)
        torch.testing.assert_close(task.val_scores.counts, task.test_scores.counts)
    torch.testing.assert_close(results["auto"][0], results["none"][0])
    torch.testing.assert_close(results["auto"][2], results["none"][2])
    assert results["auto"][1]["iou"] == results["none"][1]["iou"]
    # The loss of an image is the mean of its strips' losses: close to, but not that of the whole image.
    torch.testing.assert_close(results["auto"][1]["loss"], results["none"][1]["loss"], rtol=0.1, atol=0)


@torch.no_grad()
def test_class_numbers_are_returned_to_save_memory() -> None:
    task, image = module(3), large()
    batch: Any = {"image": image, "size": [(150, 201)]}
    probs = task.predict_step(batch)
    assert probs.shape == (1, 3, 150, 201)
    task.predict_classes = True
    classes = task.predict_step(batch)
    assert classes.dtype == torch.uint8
    assert torch.equal(classes[0, 0], probs[0].argmax(0).to(torch.uint8))
    # Reduced images give probabilities, which are enlarged before the decision.
    assert task.predict_step({"image": image, "size": [(300, 402)]}).dtype == torch.float32  # type: ignore[typeddict-item]


@torch.no_grad()
def test_figures_of_a_large_image_are_drawn_from_fewer_pixels() -> None:
    image, mask = large(80, 2100), mask_of(3, 80, 2100)
    task = module(3)
    batch: Any = {"image": image, "mask": mask, "name": ["a"]}
    output: Any = task.validation_step(batch)
    assert output["probs"].shape == (1, 3, 27, 700)
    figures = SegmentationFigures(classes=task.classes)
    summary = figures.summarize(batch, output)
    assert summary.confusion is not None
    assert summary.confusion.sum() < 27 * 700  # of which the ignored rows are left out
    drawn = figures.draw_summary([summary], note="")
    assert set(drawn) == {"precision_recall", "confusion_matrix"}


@torch.no_grad()
def test_seams_of_a_u_net_are_small() -> None:
    """Deep layers see more than the overlap: the tiles differ from the whole image, but hardly across a seam."""
    torch.manual_seed(0)
    net = UNet(encoder="mobilenet_v2", classes=1, pretrained="none").eval()
    coarse = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    image = nn.functional.interpolate(coarse, size=(384, 384), mode="bicubic").clamp(0, 1)

    def probs(part: Tensor) -> Tensor:
        return torch.sigmoid(net(part))

    whole = probs(image)
    tiled = tiled_inference(probs, image, scale=1, tile=256, overlap=128, multiple=32)
    steps = {name: maps.diff(dim=3).abs().amax() for name, maps in (("whole", whole), ("tiled", tiled))}
    assert steps["tiled"] < steps["whole"] * 1.1
