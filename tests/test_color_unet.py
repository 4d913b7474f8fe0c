"""ColorUNet, which sees the whole image and changes its colors; fading, the loss and the scores of colors."""

import io

import numpy as np
import onnxruntime
import pytest
import torch
from skimage import data
from skimage.color import rgb2gray
from torch import Tensor, nn

from datamodules.images.corruptions import Fade
from experiments.export.formats import OPSET
from experiments.export.graph import InferenceGraph, to_onnx, trace
from lightning_modules.color_metrics import color_error, colorfulness
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.chroma import ChromaLoss
from models.losses.pixel import L1Loss
from models.super_resolution.color_unet import ColorUNet, change_colors, view_of


def color_unet() -> ColorUNet:
    return ColorUNet(encoder="resnet18", pretrained="none", view=64, local_blocks=1).eval()


def astronaut(height: int, width: int) -> Tensor:
    image = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255
    return image[:, :, :height, :width].contiguous()


def disturbed(net: nn.Module) -> nn.Module:
    """Gives the layers that start at zero other weights, so that the network changes its input."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)
    return net.eval()


@pytest.mark.parametrize("size", [(20, 50), (64, 64), (123, 250)])
def test_an_untrained_network_returns_its_input(size: tuple[int, int]) -> None:
    image = astronaut(*size)
    with torch.no_grad():
        torch.testing.assert_close(color_unet()(image), image, rtol=0, atol=1e-4)


def test_colors_are_multiplied_by_the_enlarged_coefficients() -> None:
    """Every row turns gray into a color of its own: the coefficients of 2 x 1 pixels change from top to bottom."""
    gray = torch.full((1, 3, 8, 2), 0.5)
    coefficients = torch.zeros(1, 12, 2, 1)
    coefficients[0, 3] = torch.tensor([[0.0], [0.4]])  # offset of red
    coefficients[0, 4] = torch.tensor([[0.2], [0.2]])  # factor of red in green
    red, green, blue = change_colors(gray, coefficients)[0, :, :, 0]
    # Bilinear between the centers of the two pixels, at rows 1.5 and 5.5.
    rise = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    torch.testing.assert_close(red, 0.5 + 0.4 * torch.tensor(rise))
    assert green.tolist() == pytest.approx([0.6] * 8)
    assert blue.tolist() == [0.5] * 8


def test_the_copy_keeps_proportions_and_least_side() -> None:
    assert view_of(astronaut(200, 400), longest=100, least=32).shape[2:] == (50, 100)
    assert view_of(astronaut(20, 400), longest=100, least=32).shape[2:] == (32, 100)
    small = astronaut(90, 40)
    assert view_of(small, longest=100, least=32) is small


def test_large_images_are_not_divided() -> None:
    """At a side beyond a tile, prediction is that of the network on the whole image."""
    net = disturbed(color_unet())
    module = SuperResolutionModule(net=net, loss=L1Loss(), lpips="none").eval()
    image = astronaut(340, 360)
    with torch.no_grad():
        whole = module(image)
        torch.testing.assert_close(whole, net(image), rtol=0, atol=1e-5)
        assert (whole - image).abs().mean() > 1e-3


@pytest.mark.slow
def test_onnx_has_free_sizes() -> None:
    module = SuperResolutionModule(net=disturbed(color_unet()), loss=L1Loss(), lpips="none").eval()
    graph = InferenceGraph(module)
    file = io.BytesIO()
    to_onnx(trace(graph), opset=OPSET).save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for size in ((40, 61), (64, 64), (150, 83)):
        image = astronaut(*size)
        with torch.no_grad():
            expected = graph(image)
        result = torch.from_numpy(session.run(None, {"images": image.numpy()})[0])
        assert (result - expected).abs().max() < 1e-4, size


def test_faded_images_have_less_contrast_and_a_tint() -> None:
    image = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 50, axis=0).repeat(3, axis=2)
    faded = Fade(strength=(1, 1), scratches=(0, 0))(image, np.random.default_rng(0))
    assert faded.min(axis=(0, 1)).min() >= 20
    assert faded.max() <= 245
    assert np.ptp(faded.mean(axis=(0, 1))) > 3  # the channels fade to different degrees
    same = Fade(strength=(0, 0), scratches=(0, 0))(image, np.random.default_rng(0))
    assert np.array_equal(same, image)


def test_scratches_are_light_thin_and_as_many_as_asked() -> None:
    dark = np.full((200, 200, 3), 60, np.uint8)
    scratched = Fade(strength=(0, 0), scratches=(2, 2))(dark, np.random.default_rng(1))
    changed = rgb2gray(scratched) > rgb2gray(dark) + 0.05
    assert 0 < changed.mean() < 0.06  # four lines of at most about 2 pixels in 200 columns
    assert scratched.min() >= 60


def test_chroma_loss_of_a_hand_worked_pair() -> None:
    """A red pixel and a gray one, both predicted gray: luma 0.299 and 0.5, chroma of red (-0.299, 0.701)."""
    target = torch.tensor([[1.0, 0.5], [0.0, 0.5], [0.0, 0.5]]).view(1, 3, 1, 2)
    preds = torch.tensor([0.299, 0.5]).expand(3, 2).reshape(1, 3, 1, 2)
    losses = ChromaLoss(balance=2)(preds, target)
    red = 1 + 2 * (0.299**2 + 0.701**2) ** 0.5
    assert losses["luma"].item() == pytest.approx(0, abs=1e-6)
    assert losses["chroma"].item() == pytest.approx(red / ((red + 1) / 2) * (0.299 + 0.701) / 2, rel=1e-5)
    assert ChromaLoss(balance=0)(preds, target)["chroma"].item() == pytest.approx(0.5, rel=1e-5)


def test_colorfulness_and_color_error() -> None:
    """Two colors: R - G is 255 and -255, (R + G) / 2 - B is 127.5 for both."""
    image = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]).view(1, 3, 1, 2)
    assert colorfulness(image) == pytest.approx([255 + 0.3 * 127.5])
    gray = torch.full((1, 3, 4, 4), 0.4)
    assert colorfulness(gray) == [0.0]
    assert color_error(gray, gray) == [0.0]
    # Between two grays only the lightness differs; black and white are 100 apart in CIEDE2000.
    black, white = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    assert color_error(black, white) == pytest.approx([100.0], abs=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ColorUNet(pretrained="none", view=8), "view must be at least 32"),
        (lambda: ChromaLoss(balance=-1), "balance must not be negative"),
        (lambda: Fade(strength=(0, 2)), "strength .* between 0 and 1"),
        (lambda: setattr(ColorUNet(pretrained="none"), "active_scale", 2), "scale must be 1, not 2"),
    ],
)
def test_bad_arguments_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
