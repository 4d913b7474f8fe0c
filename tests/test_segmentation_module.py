from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batches import SegmentBatch
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule
from models.segmentation.blocks import resize_probs
from tests.helpers.tiny_segment import DiscNet, fit_discs


class Echo(nn.Module):
    """Returns the image as logits; ``shift`` is a trainable parameter."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.classes = classes
        self.shift = nn.Parameter(torch.zeros(classes, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return (image[:, : self.classes] - 0.5) * 20 + self.shift

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self]]


def module(classes: tuple[str, ...] = ("car",), **settings: Any) -> SegmentationModule:
    return SegmentationModule(net=Echo(len(classes)), classes=classes, **settings)


def batch(*images: list[list[float]], masks: list[list[list[float]]]) -> SegmentBatch:
    image = torch.tensor(images)[:, None].expand(-1, 3, -1, -1)
    return {"image": image, "mask": torch.tensor(masks), "name": [f"{i}.jpg" for i in range(len(images))]}


class Batches(LightningDataModule):
    def __init__(self, train: list[Any], val: list[Any], test: list[Any]) -> None:
        super().__init__()
        self.train, self.val, self.test = train, val, test

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.val, batch_size=None)  # type: ignore[arg-type]

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.test, batch_size=None)  # type: ignore[arg-type]


def trainer(**options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        **options,
    )


TWO = batch([[1, 0], [0, 0]], [[1, 1], [0, 0]], masks=[[[1, 0], [0, 0]], [[1, 0], [0, 0]]])
ONE = batch([[0, 0], [0, 0]], masks=[[[0, 0], [0, 0]]])


def test_validation_scores_are_means_over_images() -> None:
    # Dice 1 and 2/3 in the batch of two, 1 (nothing to find, nothing found) in the batch of one.
    found = trainer().validate(module(), Batches([], [TWO, ONE], []), verbose=False)[0]
    assert found["val/dice"] == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert found["val/iou"] == pytest.approx(2 / 3)  # two of three pixels, pooled
    assert found["val/accuracy"] == pytest.approx(11 / 12)
    # Logits are +-10: a right pixel costs log(1 + e^-10), the one wrong pixel of twelve 10 more.
    assert found["val/loss"] == pytest.approx(10 / 12, abs=1e-3)


def test_fit_moves_the_weights_and_logs_the_parts() -> None:
    task = module(dice_weight=0.5)
    task.begin_stage(Stage(name="all", size=2, batch_size=2, epochs=1, lr=0.1), steps=3)
    fit = trainer()
    fit.fit(task, Batches([TWO] * 3, [TWO, ONE], []))
    assert task.net.shift.item() < 0  # type: ignore[union-attr, operator]  # one pixel too many was found
    parts = [fit.callback_metrics[f"train/loss/{part}"] for part in ("bce", "dice")]
    assert fit.callback_metrics["train/loss"].item() == pytest.approx(sum(parts).item())  # type: ignore[union-attr]
    assert fit.callback_metrics["val/dice"] > 0.8


def test_test_scores_images_at_their_original_size() -> None:
    images = torch.zeros(2, 3, 4, 4)
    images[:, :, :, :2] = 1  # the left half is car
    wide, square = torch.zeros(6, 16, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8)
    wide[:, :8] = 1
    square[:, :3] = 1  # a quarter of the image is missed
    native = {"image": images, "mask": [wide, square], "name": ["wide.jpg", "square.jpg"]}
    task = module()
    found = trainer().test(task, Batches([], [], [native]), verbose=False)[0]
    assert task.test_table == [
        {"name": "square.jpg", "dice": pytest.approx(0.8), "iou": pytest.approx(2 / 3), "accuracy": 0.75},
        {"name": "wide.jpg", "dice": 1.0, "iou": 1.0, "accuracy": 1.0},
    ]
    # 4 of 112 pixels are wrong with a probability near 0; resizing blurs the edges of the others a little.
    assert 4 / 112 < found.pop("test/calibration_error") < 0.15  # type: ignore[operator]
    assert found == {
        "test/dice": pytest.approx(0.9),
        "test/iou": pytest.approx((48 + 8) / (48 + 12)),
        "test/accuracy": pytest.approx((96 + 12) / (96 + 16)),
    }


def test_classes_are_separated_and_named() -> None:
    image = torch.zeros(1, 3, 2, 2)
    image[0, 0, 0], image[0, 1, 1] = 1, 1  # upper row sky, lower row road
    mask = torch.tensor([[[0, 0], [1, 255]]])
    task = module(classes=("sky", "road", "traffic sign"))
    found = trainer().validate(task, Batches([], [{"image": image, "mask": mask, "name": ["a"]}], []), verbose=False)[0]
    assert found["val/iou"] == found["val/dice"] == found["val/accuracy"] == 1.0
    assert found["val/iou/sky"] == 1.0
    assert "val/iou/traffic sign" not in found  # it never occurs
    assert found["val/loss"] < 1e-3


def test_step_returns_probabilities_for_figures() -> None:
    seen = []

    class Look(Callback):
        def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
            seen.append(args[2])

    trainer(callbacks=[Look()]).validate(module(), Batches([], [TWO], []), verbose=False)
    assert seen[0]["probs"].shape == (2, 1, 2, 2)
    assert not seen[0]["probs"].requires_grad
    assert seen[0]["score"].tolist() == pytest.approx([1.0, 2 / 3])


def test_half_precision_gives_float32_probabilities() -> None:
    task = module()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert task(TWO["image"]).dtype == torch.float32
        assert task.losses(TWO)["loss"].dtype == torch.float32


def test_flip_averages_the_image_and_its_mirror_image() -> None:
    class LeftIsBright(Echo):
        def forward(self, image: Tensor) -> Tensor:
            ramp = torch.tensor([2.0, -1.0]).expand(len(image), 1, 2, 2)
            return ramp + self.shift

    net, image = LeftIsBright(), torch.zeros(1, 3, 2, 2)
    plain = SegmentationModule(net=net)(image)[0, 0, 0]
    both = SegmentationModule(net=net, flip=True)(image)[0, 0, 0]
    left, right = 1 / (1 + torch.tensor(-2.0).exp()), 1 / (1 + torch.tensor(1.0).exp())
    assert plain.tolist() == pytest.approx([left.item(), right.item()])
    assert both.tolist() == pytest.approx([(left + right).item() / 2] * 2)


def test_threshold_is_applied() -> None:
    probs = torch.tensor([[[[0.3, 0.6]]]])
    assert module().decide(probs).tolist() == [[[False, True]]]
    assert module(threshold=0.25).decide(probs).tolist() == [[[True, True]]]


def test_probabilities_are_resized_without_shift_or_aliasing() -> None:
    # Twice the size: samples lie a quarter of a pixel from the old centers.
    assert resize_probs(torch.tensor([[[[0.0, 1.0]]]]), (1, 4)).flatten().tolist() == pytest.approx([0, 0.25, 0.75, 1])
    # One pixel in eight is lit. Sampled without a filter, all of them would fall between the places looked at.
    lit = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0]).repeat(8)[None, None, None]
    assert resize_probs(lit, (1, 8)).flatten()[1:-1].tolist() == pytest.approx([1 / 8] * 6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ()}, "classes is empty"),
        ({"dice_weight": -1.0}, "dice_weight must be 0 or more, not -1.0"),
        ({"threshold": 1.0}, "threshold must lie between 0 and 1"),
        ({"edge_weight": 1.0, "classes": ("a", "b")}, "edge_weight is for one class"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationModule(net=Echo(), **settings)


def test_load_from_checkpoint_takes_the_network_or_names_what_builds_it(tmp_path: Path) -> None:
    trainer = fit_discs(tmp_path, [])
    trained = trainer.lightning_module.state_dict()
    trainer.save_checkpoint(tmp_path / "discs.ckpt")
    with pytest.raises(TypeError, match=r"pass net=\.\.\., or use experiments\.load\(FILE\)"):
        SegmentationModule.load_from_checkpoint(tmp_path / "discs.ckpt")
    loaded = SegmentationModule.load_from_checkpoint(tmp_path / "discs.ckpt", net=DiscNet()).state_dict()
    assert trained.keys() == loaded.keys()
    assert all(torch.equal(trained[name], loaded[name]) for name in trained)
