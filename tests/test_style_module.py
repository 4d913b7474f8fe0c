"""StyleModule: use of loss and data, scores against values by hand, tiled inference against whole images."""

from typing import Any, cast

import pytest
import skimage.data
import torch
from torch import Tensor, nn

from datamodules.batches import ImageBatch
from lightning_modules.style import StyleModule
from models.style.style_resnet import StyleResnet
from models.tiled_inference import tiled_inference
from tests.helpers.quick_fit import quiet_trainer
from tests.helpers.ranks import on_ranks
from tests.helpers.tiny_segment import DiscData
from tests.helpers.tiny_style import GRAYS, PAINTING, STAGE, Halving, Means, gray_task

#: By hand: an image of gray g becomes g / 2; content 2 (g / 2)^2, style (g / 2 - 0.75)^2, untouched (g - 0.75)^2.
CONTENT = (0.0, 0.03125, 0.125, 0.28125, 0.5)
STYLED = (0.5625, 0.390625, 0.25, 0.140625, 0.0625)
UNTOUCHED = (0.5625, 0.25, 0.0625, 0.0, 0.0625)


def module_of(net: nn.Module, **options: Any) -> StyleModule:
    return StyleModule(net=net, loss=cast(Any, Means()), **options)


def painter(norm: str = "batch") -> StyleResnet:
    torch.manual_seed(0)
    net = StyleResnet(width=4, blocks=1, norm=norm).eval()  # type: ignore[arg-type]
    nn.init.normal_(net.tail.weight, std=0.5)  # contrast as that of a trained net
    return net


def batch_of(image: Tensor) -> ImageBatch:
    return cast(ImageBatch, {"image": image})


def test_validation_mean_is_exact_with_a_short_last_batch() -> None:
    module, data = gray_task()
    (scores,) = quiet_trainer().validate(module, data, verbose=False)
    content, styled, untouched = (sum(values) / 5 for values in (CONTENT, STYLED, UNTOUCHED))
    assert scores == {
        "val/loss": pytest.approx(content + styled),
        "val/loss/content": pytest.approx(content),
        "val/loss/style_1": pytest.approx(styled),
        "val/relative": pytest.approx((content + styled) / untouched),
    }


def test_table_lists_every_image_worst_first() -> None:
    module, data = gray_task()
    (scores,) = quiet_trainer().test(module, data, verbose=False)
    ours = [content + styled for content, styled in zip(CONTENT, STYLED, strict=True)]
    assert scores["test/relative"] == pytest.approx(sum(ours) / sum(UNTOUCHED))
    rows = {row["name"]: row for row in module.test_table}
    assert [row["relative"] for row in rows.values()] == sorted((r["relative"] for r in rows.values()), reverse=True)
    for number, (loss, untouched) in enumerate(zip(ours, UNTOUCHED, strict=True)):
        row = rows[f"gray {number}.png"]
        assert (row["loss"], row["untouched"]) == (pytest.approx(loss), pytest.approx(untouched))
    assert rows["gray 3.png"]["relative"] == float("inf")  # as light as the painting: nothing is left to be gained


def test_step_returns_a_score_per_image() -> None:
    module, data = gray_task()
    module.loss.set_styles(data.styles())
    output = module.validation_step(next(iter(data.val_dataloader())))
    assert output is not None
    assert output["preds"][2].unique().tolist() == [0.25]
    assert output["score"].tolist() == pytest.approx([CONTENT[n] + STYLED[n] for n in range(3)])
    assert output["loss"].item() == pytest.approx(output["score"].mean().item())


def test_training_moves_the_net_and_logs_every_part() -> None:
    module, data = gray_task()
    module.begin_stage(STAGE, 2)
    trainer = quiet_trainer(max_epochs=1, limit_train_batches=1)
    trainer.fit(module, data)
    logged = trainer.logged_metrics
    assert {"train/loss", "train/loss/content", "train/loss/style_1"} <= set(logged)
    assert logged["train/loss"] == pytest.approx(float(logged["train/loss/content"] + logged["train/loss/style_1"]))
    assert module.net.factor.weight.item() != 0.5  # type: ignore[union-attr]


def test_style_is_set_once_and_not_for_predict() -> None:
    module, data = gray_task()
    loss = cast(Any, module.loss)
    trainer = quiet_trainer()
    trainer.validate(module, data, verbose=False)
    assert loss.asked == ["load", "style", f"calibrate {len(GRAYS)}"]
    assert loss.mean == PAINTING
    trainer.test(module, data, verbose=False)
    assert loss.asked == ["load", "style", f"calibrate {len(GRAYS)}", "load"]
    other, _ = gray_task()
    other.setup("predict")
    assert cast(Any, other.loss).asked == []


def test_data_without_a_painting_are_refused() -> None:
    module, _ = gray_task()
    data = DiscData(num_workers=0)
    data.set_stage(STAGE)
    with pytest.raises(TypeError, match="DiscData needs styles"):
        quiet_trainer().validate(module, data, verbose=False)


@torch.no_grad()
def test_tiled_inference_with_batch_norm_equals_the_whole_image() -> None:
    image = torch.rand(1, 3, 203, 318, generator=torch.Generator().manual_seed(1))
    net = painter()
    assert net.reach == 28
    torch.testing.assert_close(module_of(net, tile=160).eval()(image), net(image), rtol=0, atol=1e-5)


@torch.no_grad()
def test_tiles_share_the_statistics_of_instance_norm() -> None:
    """An image beside a flat area, whose tiles instance norm would stretch to full contrast."""
    image = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None, :, :320, :320] / 255
    wall = 0.5 + 0.01 * torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    image = torch.cat([wall, image], dim=3)
    net = painter("instance")
    module = module_of(net, tile=160).eval()
    whole, ours = net(image), module(image)
    apart = tiled_inference(net, image, scale=1, tile=160, overlap=module.tiling.overlap, multiple=4)

    def restless(made: Tensor) -> float:
        return made[..., 32:288].diff(dim=3).abs().mean().item()

    assert restless(apart) > 5 * restless(whole)  # what it would be
    assert restless(ours) == pytest.approx(restless(whole), rel=0.5)
    assert (ours - whole).abs().mean() < (apart - whole).abs().mean() / 3
    torch.testing.assert_close(net(image), whole)  # nothing is left of it afterwards


@pytest.mark.parametrize(
    ("dtype", "top", "saved"), [(torch.uint8, 255, torch.uint8), (torch.int32, 65535, torch.uint16)]
)
def test_prediction_keeps_the_bit_depth(dtype: torch.dtype, top: int, saved: torch.dtype) -> None:
    image = torch.arange(12).reshape(1, 3, 2, 2) * (top // 11)
    made = module_of(Halving()).predict_step(batch_of(image.to(dtype)))
    assert made.dtype == saved
    assert made.shape == image.shape
    assert (made.long() - image / 2).abs().max() <= 0.5


def test_float_image_is_used_unchanged() -> None:
    image = torch.rand(1, 3, 5, 7)
    with torch.no_grad():
        torch.testing.assert_close(module_of(Halving())(image), image / 2)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="tile=128 is too small for a net that sees 28 px around each pixel: at least"):
        module_of(painter(), tile=128)
    module = module_of(painter(), tile=323)
    assert module.tile == 320  # a multiple of 4, on which the strided convolutions meet the same pixels
    with pytest.raises(ValueError, match="tile=100 is too small"):
        module.tile = 100
    blind = nn.Conv2d(3, 3, 1)
    blind.layer_groups = lambda: [[blind]]  # type: ignore[assignment]
    with pytest.raises(TypeError, match="Conv2d needs reach and multiple"):
        module_of(blind)


def test_weights_origin_names_the_loss_features() -> None:
    assert module_of(Halving()).weights_origin == "random weights; features of the loss: none"


def judge_on_two() -> dict[str, Any]:
    """Validates and tests."""
    trainer, (module, data) = quiet_trainer(devices=2), gray_task()
    (val,) = trainer.validate(module, data, verbose=False)
    (test,) = trainer.test(module, data, verbose=False)
    return {"val": val, "test": test, "table": module.test_table}


@pytest.mark.slow
def test_two_ranks_with_uneven_images_score_like_one() -> None:
    first, second = on_ranks(2, judge_on_two)
    assert first == second
    module, data = gray_task()
    trainer = quiet_trainer()
    assert first["val"] == pytest.approx(trainer.validate(module, data, verbose=False)[0])
    assert first["test"] == pytest.approx(trainer.test(module, data, verbose=False)[0])
    assert [row["name"] for row in first["table"]] == [row["name"] for row in module.test_table]
