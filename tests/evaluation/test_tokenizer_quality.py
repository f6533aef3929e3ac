"""Measuring a tokenizer: the numbers are those of its own encode and decode."""

import numpy as np
import pytest
import torch

from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.metrics.psnr import psnr
from worldmodel_env.evaluation.tokenizer import BATCH, measure_tokenizer
from worldmodel_env.models.codebook import share_used
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset

FRAMES = np.random.default_rng(0).integers(0, 256, (BATCH + 3, 32, 32, 3), np.uint8)


@torch.no_grad()
def test_quality_over_several_batches() -> None:
    torch.manual_seed(0)
    model, lpips = Vqgan(load_preset("nano").vqgan), Lpips("alex")
    quality, decoded = measure_tokenizer(model, FRAMES, lpips)
    codes = model.encode(torch.from_numpy(FRAMES))
    assert np.abs(decoded.astype(int) - model.decode(codes).numpy()).max() <= 1
    assert quality.psnr == pytest.approx(psnr(FRAMES, decoded).mean())
    assert quality.lpips == pytest.approx(lpips.distance(FRAMES, decoded).mean())
    assert quality.codes_used == len(set(codes.flatten().tolist())) / 64
    assert 1 <= quality.perplexity <= 64 * quality.codes_used


def test_without_a_network_there_is_no_distance() -> None:
    quality, _ = measure_tokenizer(Vqgan(load_preset("nano").vqgan), FRAMES[:2])
    assert quality.lpips is None


@pytest.mark.parametrize(
    ("codes", "expected"), [([0, 0, 7], 0.25), ([3], 0.125), (list(range(8)) * 2, 1.0)]
)
def test_the_share_of_codes_used(codes: list[int], expected: float) -> None:
    assert share_used(torch.tensor(codes), 8) == expected
