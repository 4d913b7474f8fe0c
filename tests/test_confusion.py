"""The confusion matrix and its figure."""

import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_jaccard_index

from callbacks.visualization.confusion import HEIGHT, WIDTH, confusion_matrix, draw_confusion, iou_of


def test_counts_agree_with_torchmetrics() -> None:
    g = torch.Generator().manual_seed(0)
    preds, target = torch.randint(0, 4, (2, 9, 7), generator=g), torch.randint(0, 4, (2, 9, 7), generator=g)
    target[0, :3] = 255
    found = confusion_matrix(preds, target, classes=4)
    assert torch.equal(found, multiclass_confusion_matrix(preds, target, 4, ignore_index=255))
    theirs = multiclass_jaccard_index(preds, target, 4, average="none", ignore_index=255)
    torch.testing.assert_close(iou_of(found).float(), theirs)


def test_a_class_that_never_occurs_has_no_iou() -> None:
    assert iou_of(confusion_matrix(torch.tensor([0, 1]), torch.tensor([0, 0]), classes=3)).isnan().tolist() == [
        False,
        False,
        True,
    ]


def test_the_figure_shows_the_matrix_as_colors() -> None:
    matrix = torch.tensor([[9, 1, 0], [0, 10, 0], [0, 0, 0]])
    figure = draw_confusion(matrix, ["sky", "road", "car"], note="epoch 1")
    assert figure.shape == (3, HEIGHT, WIDTH)
    assert figure.dtype == torch.uint8
    other = draw_confusion(matrix.flip(0), ["sky", "road", "car"], note="epoch 1")
    assert (figure != other).any(0).float().mean() > 0.1
