"""Interquartile means and intervals."""

import numpy as np
import pytest

from agents.intervals import estimate, interquartile_mean, mean, ratio_of
from worldmodel_env.errors import InputError


def test_interquartile_mean_leaves_out_the_ends():
    assert interquartile_mean(np.array([-1000.0, 2, 4, 900])) == 3
    assert interquartile_mean(np.array([5.0])) == 5


def test_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(40):
        runs = [rng.random(60) < 0.7 for _ in range(3)]
        found = estimate(runs, mean, seed=trial)
        hits += found.low <= 0.7 <= found.high
    assert hits >= 34


def test_trainings_that_differ_widen_the_interval():
    alike = estimate([np.full(50, 0.5)] * 4, mean)
    apart = estimate([np.full(50, v) for v in (0.0, 1.0, 0.0, 1.0)], mean)
    assert alike.value == apart.value == 0.5
    assert alike.high - alike.low < 1e-9
    assert apart.high - apart.low > 0.5


def test_share_of_a_gain():
    groups = [[np.full(9, v)] for v in (0.7, 0.9, 0.1)]
    found = ratio_of(groups, lambda g: (mean(g[0]) - mean(g[2])) / (mean(g[1]) - mean(g[2])))
    assert found.value == pytest.approx(0.75)


@pytest.mark.parametrize("runs", [[], [np.empty(0)], [np.array([np.nan])]])
def test_refuses_nothing_and_no_numbers(runs):
    with pytest.raises(InputError, match="no values"):
        estimate(runs)
