"""PSNR and SSIM against published values, scikit-image and values by hand."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import color, metrics

from lightning_modules.super_resolution_metrics import SrScores, luma, psnr, ssim
from tests.helpers.real_data import needs, real
from tests.helpers.tiny_images import enlarge

SET5 = real("set5")
needs_set5 = needs(SET5)


def tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def pair(seed: int = 0, height: int = 40, width: int = 52) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    target = random.integers(0, 256, (height, width, 3), np.uint8)
    return (target + random.normal(0, 12, target.shape)).round().clip(0, 255).astype(np.uint8), target


@needs_set5
@pytest.mark.parametrize(("scale", "decibels", "similarity"), [(2, 33.66, 0.930), (4, 28.42, 0.810)])
def test_bicubic_on_set5_matches_published_values(scale: int, decibels: float, similarity: float) -> None:
    """33.66 dB / 0.9299 and 28.42 dB / 0.8104, as published in the tables of SRCNN and EDSR."""
    scores = SrScores()
    for path in sorted((SET5 / f"x{scale}").glob("*_HR.png")):
        high = np.array(Image.open(path).convert("RGB"))
        low = np.array(Image.open(str(path).replace("_HR", "_LR")).convert("RGB"))
        preds, target = tensor(enlarge(low, scale)), tensor(high)
        scores.update(psnr(preds, target, border=scale), ssim(preds, target, border=scale))
    result = scores.compute()
    assert result["psnr"].item() == pytest.approx(decibels, abs=0.05)
    assert result["ssim"].item() == pytest.approx(similarity, abs=0.002)


def test_luminance_equals_scikit_image_y() -> None:
    image, _ = pair()
    expected = torch.from_numpy(color.rgb2ycbcr(image)[..., 0]).float()
    torch.testing.assert_close(luma(tensor(image))[0, 0], expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("border", [0, 2, 4])
def test_scores_equal_scikit_image_without_the_border(border: int) -> None:
    preds, target = pair()
    inner = slice(border, 40 - border), slice(border, 52 - border)
    a, b = (color.rgb2ycbcr(image)[..., 0][inner] for image in (preds, target))
    expected_psnr = metrics.peak_signal_noise_ratio(b, a, data_range=255)
    expected_ssim = metrics.structural_similarity(
        b, a, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert psnr(tensor(preds), tensor(target), border=border).item() == pytest.approx(expected_psnr, abs=1e-3)
    assert ssim(tensor(preds), tensor(target), border=border).item() == pytest.approx(expected_ssim, abs=1e-4)


def test_results_are_scored_after_rounding_to_8_bits() -> None:
    _, image = pair()
    target = tensor(image)
    assert psnr(target + 0.4 / 255, target, border=2).item() == 100
    white = torch.ones_like(target)
    assert psnr(white * 7, white, border=2).item() == 100
    assert ssim(target + 0.4 / 255, target, border=2).item() == pytest.approx(1)


def test_one_gray_level_off_is_49_decibels() -> None:
    """All channels one of 255 off change Y by 219 / 255: 20 log10(255 / (219 / 255)) = 49.453."""
    target = torch.full((1, 3, 32, 32), 100 / 255)
    assert psnr(target + 1 / 255, target, border=2).item() == pytest.approx(49.4529, abs=1e-3)


def test_border_is_excluded() -> None:
    _, image = pair()
    target = tensor(image)
    preds = target.clone()
    preds[..., :2, :] = 0
    preds[..., -2:] = 1
    assert psnr(preds, target, border=2).item() == 100
    assert psnr(preds, target, border=1).item() < 30


def test_mean_is_over_images_regardless_of_batches() -> None:
    images = [pair(seed) for seed in range(5)]
    preds, target = (torch.cat([tensor(p[i]) for p in images]) for i in (0, 1))
    singly = [psnr(preds[i : i + 1], target[i : i + 1], border=2).item() for i in range(5)]
    scores = SrScores()
    for some in (slice(0, 2), slice(2, 5)):
        scores.update(psnr(preds[some], target[some], border=2), ssim(preds[some], target[some], border=2))
    assert scores.compute()["psnr"].item() == pytest.approx(sum(singly) / 5, abs=1e-5)


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not \(1, 3, 20, 20\) and \(1, 3, 20, 21\)"):
        psnr(torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 21), border=2)
    with pytest.raises(ValueError, match="16 x 14 pixels are too small to be scored: without a border of 2"):
        ssim(torch.rand(1, 3, 14, 16), torch.rand(1, 3, 14, 16), border=2)


def test_color_scores_use_all_three_channels() -> None:
    preds, target = pair()
    inner = slice(2, 38), slice(2, 50)
    expected = metrics.peak_signal_noise_ratio(target[inner], preds[inner], data_range=255)
    assert psnr(tensor(preds), tensor(target), border=2, color=True).item() == pytest.approx(expected, abs=1e-3)
    swapped = target[..., ::-1].copy()  # about the same brightness is no comfort
    assert psnr(tensor(swapped), tensor(target), border=2, color=True) < psnr(tensor(swapped), tensor(target), border=2)


def test_scores_do_not_depend_on_the_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 40, 40, generator=generator)
    preds = target + 0.02 * torch.randn(1, 3, 40, 40, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = psnr(preds, target, border=2), ssim(preds, target, border=2)
    assert torch.equal(mixed[0], psnr(preds, target, border=2))
    assert torch.equal(mixed[1], ssim(preds, target, border=2))
