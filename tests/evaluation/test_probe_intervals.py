"""Intervals over events that come in groups."""

import numpy as np
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.buckets import buckets
from worldmodel_env.evaluation.probes.intervals import pooled, ratio


def test_the_mean_is_over_events_and_the_spread_over_groups() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=20), 50)  # 50 events of a walk tell no more than one
    groups = np.repeat(np.arange(20), 50)
    told = pooled(values, groups)
    alone = pooled(values, np.arange(1000))
    assert told.mean == pytest.approx(values.mean())
    assert told.events == 1000
    assert told.high - told.low > 4 * (alone.high - alone.low)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for i in range(200):
        sizes = rng.integers(1, 8, 40)
        means = rng.normal(size=40)
        values = np.repeat(means, sizes) + 0.1 * rng.normal(size=sizes.sum())
        told = pooled(values, np.repeat(np.arange(40), sizes), seed=i)
        held += told.low <= 0 <= told.high
    assert 0.88 <= held / 200 <= 0.99


def test_ratio_of_sums() -> None:
    told = ratio(np.array([1.0, 3.0]), np.array([2.0, 2.0]), np.array([0, 1]))
    assert told.mean == 1.0
    assert (told.low, told.high) == (0.5, 1.5)
    never = ratio(np.array([1.0]), np.array([0.0]), np.array([0]))
    assert np.isnan(never.mean)
    assert np.isnan(never.low)


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_nothing_and_nan_are_refused(values: list[float]) -> None:
    with pytest.raises(InputError, match="finite"):
        pooled(np.array(values), np.zeros(len(values), np.int64))


def test_buckets_cover_every_horizon_once() -> None:
    for horizon in (1, 5, 156, 3000, 4000):
        covered = [h for low, high in buckets(horizon) for h in range(low, high + 1)]
        assert covered == list(range(1, horizon + 1))
