"""Drawn endings have the model's probability and the roll-out's determinism."""

import pytest
import torch

from worldmodel_env.envs.ending import ends
from worldmodel_env.imagination.noise import uniform


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.3, 1.0])
def test_share_of_endings(probability):
    steps = torch.arange(20_000)
    key = torch.full_like(steps, 1234567890123456789)
    drawn = ends(torch.full((len(steps),), probability), key, steps).double().mean()
    deviation = (probability * (1 - probability) / len(steps)) ** 0.5
    assert drawn == pytest.approx(probability, abs=4 * deviation)


def test_same_key_same_step_same_ending():
    key, steps = torch.full((300,), 42), torch.arange(300)
    half = torch.full((300,), 0.5)
    assert torch.equal(ends(half, key, steps), ends(half, key, steps))
    assert not torch.equal(ends(half, key, steps), ends(half, key + 1, steps))


def test_independent_of_the_frames_noise():
    steps = torch.arange(20_000)
    key = torch.full_like(steps, 99)
    drawn = ends(torch.full((len(steps),), 0.5), key, steps).double()
    used = uniform(key, steps, 1)[:, 0].double()
    assert abs(torch.corrcoef(torch.stack([drawn, used]))[0, 1]) < 0.03
