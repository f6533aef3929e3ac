import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics import PSNR_CAP, identical, psnr, ssim


def frames(*shape: int, seed: int = 0) -> np.ndarray:
    """Smooth random pictures: noise alone has an SSIM near 0 whatever the window."""
    rng = np.random.default_rng(seed)
    *lead, height, width = shape
    y, x = np.mgrid[:height, :width] / 8
    phase = rng.uniform(0, 6, (*lead, 1, 1, 3))
    waves = np.sin(x[..., None] + phase) * np.cos(y[..., None] * phase)
    return (127.5 + 120 * waves).astype(np.uint8)


def noisy(clean: np.ndarray, sigma: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(clean + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [0.3, 3, 30, 120])
@pytest.mark.parametrize("size", [(64, 64), (11, 40), (97, 64)])
def test_psnr_and_ssim_equal_scikit_image(size: tuple[int, int], sigma: float) -> None:
    a = frames(3, *size)
    b = noisy(a, sigma)
    wanted_psnr = [peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a, b, strict=True)]
    wanted_ssim = [
        structural_similarity(
            x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            data_range=255, channel_axis=-1,
        )
        for x, y in zip(a, b, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(psnr(a, b), wanted_psnr, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ssim(a, b), wanted_ssim, rtol=0, atol=1e-6)


def test_values_known_by_hand() -> None:
    black, white = np.zeros((2, 16, 16, 3), np.uint8), np.full((2, 16, 16, 3), 255, np.uint8)
    assert psnr(black, white).tolist() == [0, 0]
    assert psnr(black, black + 1)[0] == pytest.approx(20 * math.log10(255))
    c1 = 2.55**2  # two flat images differ in luminance alone
    assert ssim(black, white)[0] == pytest.approx(c1 / (255**2 + c1))


def test_identical_frames_are_capped_and_counted() -> None:
    a = frames(2, 3, 32, 32)
    b = noisy(a, 20)
    b[1, 2] = a[1, 2]
    assert psnr(a, b)[1, 2] == PSNR_CAP
    assert ssim(a, b)[1, 2] == pytest.approx(1)
    assert identical(a, b).tolist() == [[False, False, False], [False, False, True]]
    # One wrong byte in a large frame would be above the cap too: it is capped but not counted.
    large = np.zeros((512, 512, 3), np.uint8)
    other = large.copy()
    other[0, 0, 0] = 1
    assert psnr(large, other) == PSNR_CAP
    assert not identical(large, other)


def test_mean_is_over_frames_not_over_pooled_errors() -> None:
    a = frames(2, 32, 32)
    b = np.stack([noisy(a[0], 2), noisy(a[1], 60)])
    pooled = 10 * math.log10(255**2 / ((a.astype(float) - b) ** 2).mean())
    assert psnr(a, b).mean() > pooled + 5


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_symmetric_and_blind_to_how_frames_are_grouped(metric) -> None:
    a = frames(7, 50, 16, 16)
    b = noisy(a, 40)
    together = metric(a, b)
    assert together.shape == (7, 50)
    assert together.dtype == np.float64
    np.testing.assert_allclose(metric(b, a), together, atol=1e-12)
    np.testing.assert_allclose([metric(x, y) for x, y in zip(a, b, strict=True)], together)
    np.testing.assert_array_equal(metric(torch.from_numpy(a), torch.from_numpy(b)), together)
    assert metric(a[0, 0], b[0, 0]).shape == ()
    assert metric(a[:0], b[:0]).shape == (0, 50)


@pytest.mark.filterwarnings("error")
def test_views_and_read_only_arrays_are_measured_too() -> None:
    a = frames(4, 16, 16)
    b = noisy(a, 40)
    np.testing.assert_array_equal(psnr(a[::-1], b[::-1]), psnr(a, b)[::-1])
    last = np.broadcast_to(a[0], a.shape)
    np.testing.assert_array_equal(psnr(last, b), psnr(last.copy(), b))


@pytest.mark.parametrize("metric", [psnr, ssim, identical])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 16, 16, 3), (3, 16, 16, 3), r"shapes \(2, 16, 16, 3\) and \(3, 16, 16, 3\)"),
        ((2, 3, 16, 16), (2, 3, 16, 16), "move the channels last"),
        ((16, 3), (16, 3), "move the channels last"),
        ((2, 0, 16, 3), (2, 0, 16, 3), "move the channels last"),
    ],
)
def test_wrong_shapes_are_refused(metric, a, b, message) -> None:
    with pytest.raises(InputError, match=message):
        metric(np.zeros(a, np.uint8), np.zeros(b, np.uint8))


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_floats_and_with_them_nan_are_refused(value: float) -> None:
    whole = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(InputError, match="second frames are float32 where uint8 was expected"):
        psnr(whole, np.full(whole.shape, value, np.float32))
    with pytest.raises(InputError, match=r"first frames are torch.float32"):
        ssim(torch.full(whole.shape, value), whole)


def test_ssim_needs_room_for_its_window() -> None:
    small = np.zeros((10, 64, 3), np.uint8)
    with pytest.raises(InputError, match="10x64 pixels where at least 11x11"):
        ssim(small, small)
