"""Drawn endings have the model's probability and the roll-out's determinism."""

import numpy as np
import pytest
import torch

from worldmodel_env.envs.ending import ends
from worldmodel_env.imagination.noise import uniform

STEPS = np.arange(1, 20_001)
KEY = np.full_like(STEPS, 1234567890123456789)
HALF = np.full(len(STEPS), 0.5, np.float32)


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("along", ["steps", "keys"])
def test_share_of_endings(probability, along):
    key, step = (KEY, STEPS) if along == "steps" else (STEPS, np.full_like(STEPS, 7))
    drawn = ends(np.full(len(STEPS), probability, np.float32), key, step).mean()
    deviation = (probability * (1 - probability) / len(STEPS)) ** 0.5
    assert drawn == pytest.approx(probability, abs=4 * deviation)


def test_same_key_same_step_same_ending():
    drawn = ends(HALF, KEY, STEPS)
    np.testing.assert_array_equal(drawn, ends(HALF, KEY, STEPS))
    assert (drawn != ends(HALF, KEY + 1, STEPS)).mean() == pytest.approx(0.5, abs=0.02)
    for row in (0, 77):  # whatever the other rows
        part = slice(row, row + 1)
        assert ends(HALF[part], KEY[part], STEPS[part]) == drawn[part]


def test_known_draws():
    """The same on every machine, for ever; the first is 0xE220A839.. of SplitMix64's seed 0."""
    keys = np.array([0, 1, 2**62, 2**63 - 1])
    limits = np.arange(1, 8) / 8
    drawn = [ends(np.full(4, p, np.float32), keys, np.array([1, 300, 5, 10**6])) for p in limits]
    assert np.sum(drawn, 0).tolist() == [0, 4, 7, 6]


def test_steps_are_independent_of_one_another_and_of_the_frames_noise():
    drawn = ends(HALF, KEY, STEPS).astype(float)
    for lag in (1, 2, 16):
        assert abs(np.corrcoef(drawn[lag:], drawn[:-lag])[0, 1]) < 0.03
    used = uniform(torch.from_numpy(KEY), torch.from_numpy(STEPS), 1)[:, 0].numpy()
    assert abs(np.corrcoef(drawn, used)[0, 1]) < 0.03
