import pytest
import torch
from PIL import ImageFont
from torch import Tensor
from torchmetrics.functional.classification import binary_precision_recall_curve

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.image_grid import (
    HEADER,
    LARGE,
    SMALL,
    LegendEntry,
    Panel,
    draw_comparison,
    draw_grid,
    shorten,
)
from callbacks.visualization.masks import (
    EXTRA,
    MISSED,
    PALETTE,
    contour,
    draw_classes,
    draw_mask,
    overlay_color,
    pale_gray,
    palette,
    resize_any,
    resize_classes,
    resize_image,
)
from callbacks.visualization.precision_recall import THRESHOLDS, draw_precision_recall, precision_recall
from callbacks.visualization.segmentation import SegmentationFigures


def square(size: int, low: int, high: int) -> Tensor:
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[low:high, low:high] = True
    return mask


def pixels_of(image: Tensor, color: tuple[int, int, int]) -> int:
    return int((image == torch.tensor(color).view(3, 1, 1)).all(0).sum())


def test_blend_mixes_by_opacity_inside_the_mask_only() -> None:
    image = torch.full((3, 1, 2), 100, dtype=torch.uint8)
    mixed = overlay_color(image, torch.tensor([[True, False]]), (200, 0, 100), 0.25)
    assert mixed[:, 0, 0].tolist() == [125, 75, 100]  # 100 * 0.75 + color * 0.25
    assert mixed[:, 0, 1].tolist() == [100, 100, 100]
    assert image.unique().tolist() == [100]


def test_contour_is_inside_the_mask() -> None:
    rim = contour(square(7, 1, 6), 1)
    assert rim.sum() == 16  # the 5 x 5 square less its 3 x 3 inside
    assert not rim[3, 3]
    assert contour(torch.ones(4, 4, dtype=torch.bool)).sum() == 0  # a border of the image is no rim


def test_painted_mask_has_a_solid_contour() -> None:
    image = torch.zeros(3, 20, 20, dtype=torch.uint8)
    painted = draw_mask(image, square(20, 4, 16), (100, 200, 50), alpha=0.5)
    assert painted[:, 4, 10].tolist() == [100, 200, 50]
    assert painted[:, 10, 10].tolist() == [50, 100, 25]
    assert painted[:, 0, 0].tolist() == [0, 0, 0]


def test_ignored_pixels_are_not_painted() -> None:
    image = torch.full((3, 4, 4), 7, dtype=torch.uint8)
    classes = torch.full((4, 4), 255)
    classes[0] = 1
    painted = draw_classes(image, classes, palette(2))
    assert painted[:, 2].unique().tolist() == [7]
    assert (painted[:, 0] != 7).any()


def test_downscaling_keeps_wrong_pixels_and_class_numbers() -> None:
    lone = torch.zeros(1000, 1000, dtype=torch.bool)
    lone[501, 337] = True
    assert resize_any(lone, 100).sum() == 1
    classes = torch.tensor([[0, 7], [7, 255]]).repeat_interleave(50, 0).repeat_interleave(50, 1)
    assert resize_classes(classes, 30).unique().tolist() == [0, 7, 255]
    assert resize_classes(classes, 200)[0, 150] == 7


def test_image_of_the_same_size_is_unchanged() -> None:
    image = torch.tensor([[0.0, 0.5], [1.0, 1.5]]).expand(3, 2, 2)
    assert resize_image(image, 2)[0].tolist() == [[0, 128], [255, 255]]


def test_faded_is_gray() -> None:
    ground = pale_gray(torch.tensor([250, 10, 10], dtype=torch.uint8).view(3, 1, 1))
    assert ground.flatten().unique().numel() == 1


def gray(side: int, value: int) -> Tensor:
    return torch.full((3, side, side), value, dtype=torch.uint8)


def test_grid_has_four_columns_title_and_legend() -> None:
    panels = [Panel("", gray(SMALL, 40 * number)) for number in range(5)]
    drawn = draw_grid(panels, title="title", note="note", legend=[LegendEntry("car", (1, 2, 3))])
    assert drawn.dtype == torch.uint8
    assert drawn.shape == (3, HEADER + 2 * (240 + 4) + 40, 4 * 240 + 3 * 4)
    assert [int(drawn[0, HEADER + 10, 244 * column + 10]) for column in range(4)] == [0, 40, 80, 120]
    assert drawn[0, HEADER + 244 + 10, 10] == 160
    assert drawn[0, HEADER + 244 + 10, 254] == 255  # no sixth image: paper
    assert pixels_of(drawn, (1, 2, 3)) > 100


def test_comparison_has_three_small_images_and_a_large_one() -> None:
    small = [Panel("", gray(SMALL, 40 * number)) for number in range(3)]
    drawn = draw_comparison(small, Panel("", gray(LARGE, 200)), title="title", note="note", legend=[])
    assert drawn.shape == (3, HEADER + 2 * 240 + 4, 4 * 240 + 3 * 4)
    assert [int(drawn[0, HEADER + 10, x]) for x in (10, 254, 498)] == [0, 40, 200]
    assert [int(drawn[0, -10, x]) for x in (10, 254, 498)] == [80, 255, 200]


def test_labels_title_and_note_are_written() -> None:
    small = [Panel("image", gray(SMALL, 100))] * 3
    bare = draw_comparison([Panel("", gray(SMALL, 100))] * 3, Panel("", gray(LARGE, 100)), title="", note="", legend=[])
    full = draw_comparison(small, Panel("difference", gray(LARGE, 100)), title="title", note="note", legend=[])
    changed = (bare != full).any(0)
    assert changed[: HEADER // 2].any()
    assert changed[HEADER // 2 : HEADER].any()
    assert changed[HEADER + 200 : HEADER + 240, :100].any()
    assert changed[-40:, 2 * 244 : 2 * 244 + 100].any()


def test_long_legend_names_all_classes_within_its_box() -> None:
    names = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "person", "cyclist"]
    colors = [(number + 1, 200, 3) for number in range(len(names))]
    keys = [LegendEntry(name, color) for name, color in zip(names, colors, strict=True)]
    small = [Panel("", gray(SMALL, 100))] * 3
    drawn = draw_comparison(small, Panel("", gray(LARGE, 100)), title="", note="", legend=keys)
    assert all(pixels_of(drawn, color) > 50 for color in colors)
    assert drawn[:, HEADER:, 488:].unique().tolist() == [100]
    assert drawn[:, HEADER:, :240].unique().tolist() == [100, 255]  # the gap between two images is white


def test_long_names_are_shortened_in_the_middle() -> None:
    font = ImageFont.load_default(20)
    short = shorten("a/very/long/folder/name/car_0001_16.jpg: Dice 0.993", font, 200)
    assert font.getlength(short) <= 200
    assert short.startswith("a/ver")
    assert short.endswith("0.993")
    assert shorten("short", font, 200) == "short"


def test_one_class_shows_missed_and_surplus_pixels() -> None:
    image, target = torch.full((3, LARGE, LARGE), 0.5), square(LARGE, 100, 200)

    def drawn(preds: Tensor) -> Tensor:
        outputs = {"probs": preds[None].float()}
        sample = Sample(name="a", score=0.5, inputs={"image": image, "mask": target.float()}, outputs=outputs)
        return SegmentationFigures(classes=("car",)).draw_sample(sample, note="b")

    right, missed, extra = drawn(target), drawn(square(LARGE, 150, 200)), drawn(square(LARGE, 100, 210))
    keys = pixels_of(right, MISSED)  # the legend's square
    assert pixels_of(missed, MISSED) - keys == 100 * 100 - 50 * 50
    assert pixels_of(missed, EXTRA) == pixels_of(right, EXTRA)
    assert pixels_of(extra, EXTRA) - pixels_of(right, EXTRA) == 110 * 110 - 100 * 100
    assert pixels_of(extra, MISSED) == keys


def test_several_classes_do_not_mark_ignored_pixels() -> None:
    image, target, probs = torch.full((3, 64, 64), 0.5), torch.zeros(64, 64, dtype=torch.long), torch.zeros(2, 64, 64)
    probs[1] = 1

    def drawn(mask: Tensor) -> Tensor:
        sample = Sample(name="a", score=0.5, inputs={"image": image, "mask": mask}, outputs={"probs": probs})
        return SegmentationFigures(classes=("sky", "road")).draw_sample(sample, note="b")

    wrong, ignored = drawn(target), drawn(torch.full_like(target, 255))
    middle = (slice(None), HEADER + LARGE // 2, 488 + LARGE // 2)
    assert wrong[middle].unique().numel() == 3  # red
    assert ignored[middle].unique().numel() == 1  # gray


def test_training_batch_is_drawn_with_all_masks() -> None:
    images, masks = torch.rand(5, 3, 32, 32), torch.zeros(5, 32, 32)
    masks[:, 8:24, 8:24] = 1
    figures = SegmentationFigures(classes=("car",))
    drawn = figures.draw_batch({"image": images, "mask": masks}, count=8, note="now")
    rim = 120**2 - 116**2  # half the side of 240, two pixels wide
    assert pixels_of(drawn[:, :-40], PALETTE[0]) == 5 * rim
    two = figures.draw_batch({"image": images, "mask": masks}, count=2, note="now")
    assert pixels_of(two[:, :-40], PALETTE[0]) == 2 * rim


def test_precision_and_recall_by_hand() -> None:
    probs = torch.tensor([[0.9], [0.502], [0.4], [0.1]])
    curve = precision_recall(probs, torch.tensor([1.0, 0.0, 1.0, 0.0]), ("car",))[0]
    at_half, at_30 = (THRESHOLDS - 1) // 2, round(0.3 * (THRESHOLDS - 1))
    assert (curve.precision[at_half].item(), curve.recall[at_half].item()) == (0.5, 0.5)
    assert (curve.precision[at_30].item(), curve.recall[at_30].item()) == (pytest.approx(2 / 3), 1.0)


def test_precision_and_recall_agree_with_torchmetrics() -> None:
    draw = torch.Generator().manual_seed(0)
    probs = torch.rand(500, 1, generator=draw)
    truth = (probs[:, 0] + torch.randn(500, generator=draw) * 0.3 > 0.5).float()
    curve = precision_recall(probs, truth, ("car",))[0]
    precision, recall, _ = binary_precision_recall_curve(probs[:, 0], truth.long(), thresholds=THRESHOLDS)
    assert curve.recall.tolist() == pytest.approx(recall[:-1].tolist())
    assert curve.precision[:-1].tolist() == pytest.approx(precision[:-2].tolist())
    assert curve.precision[-1].isnan()  # nothing is found at a threshold of 1


def test_curves_of_several_classes_leave_out_ignored_pixels_and_absent_classes() -> None:
    probs = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]])
    curves = precision_recall(probs, torch.tensor([0, 1, 255]), ("sky", "road", "car"))
    assert [curve.name for curve in curves] == ["sky", "road"]
    assert curves[1].precision[THRESHOLDS // 2] == 1.0
    drawn = draw_precision_recall(curves, 0.5, note="epoch 1")
    assert drawn.shape == (3, 360, 640)
    assert drawn.dtype == torch.uint8
    assert drawn.float().std() > 10
