"""Rewards and endings foretold rightly, half as often, or by guessing."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import WorldPredictor
from worldmodel_env.evaluation.probes.outcomes import Foretold, Outcomes, foretell
from worldmodel_env.evaluation.probes.rare_events import probe_rare_events
from worldmodel_env.imagination.world import World

N, T = 400, 50
RATE = 0.02


@pytest.fixture(scope="module")
def episodes() -> Outcomes:
    """Episodes that end with a constant hazard, paid 1 when they end, foretold perfectly."""
    rng = np.random.default_rng(0)
    ends = rng.random((N, T)) < RATE
    before = np.cumsum(ends, 1) - ends > 0
    valid, ends = ~before, ends & ~before
    perfect = Foretold(ends.astype(float), ends.astype(float))
    return Outcomes(valid, ends.astype(float), ends, perfect, perfect)


def rows(outcomes: Outcomes) -> dict[str, dict]:
    table = probe_rare_events(outcomes, 1).tables[0]
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_what_is_foretold_rightly_has_the_simulators_rates(episodes: Outcomes) -> None:
    found = rows(episodes)
    assert found["endings per 1000 steps, simulator"]["value"] == pytest.approx(20, rel=0.15)
    for event in ("endings", "reward"):
        for way in ("one step ahead", "imagined"):
            assert found[f"{event}, {way} / simulator"]["value"] == pytest.approx(1)
    assert found["endings told in time (Brier skill)"]["value"] == 1


def test_a_constant_guess_has_the_rate_but_no_skill(episodes: Outcomes) -> None:
    mean = episodes.termination[episodes.valid].mean()
    guess = Foretold(np.full((N, T), mean), np.full((N, T), mean))
    found = rows(dataclasses.replace(episodes, watching=guess, dreaming=guess))
    share = found["endings, imagined / simulator"]
    assert share["value"] == pytest.approx(1, abs=0.02)  # weighted by how long a dream lasts
    assert share["95 % low"] < 1 < share["95 % high"]
    assert found["endings told in time (Brier skill)"]["value"] == pytest.approx(0, abs=1e-6)


def test_half_the_rate_is_seen_and_outside_the_interval(episodes: Outcomes) -> None:
    halved = Foretold(episodes.reward / 2, episodes.termination / 2)
    found = rows(dataclasses.replace(episodes, watching=halved))
    share = found["endings, one step ahead / simulator"]
    assert share["value"] == pytest.approx(0.5)
    assert share["95 % high"] < 0.8


def test_calibration_sets_probabilities_beside_frequencies(episodes: Outcomes) -> None:
    rng = np.random.default_rng(1)
    told = np.where(episodes.termination, 0.6, np.where(rng.random((N, T)) < 0.01, 0.6, 0.001))
    section = probe_rare_events(dataclasses.replace(episodes, watching=Foretold(told, told)), 1)
    (low, high) = section.tables[1].rows
    assert low[0] == pytest.approx(0.001)
    assert low[1] == 0
    assert high[0] == pytest.approx(0.6)
    assert high[1] == pytest.approx(0.02 / 0.03, abs=0.1)
    assert low[2] + high[2] == episodes.valid.sum()


def test_what_lies_outside_an_episode_does_not_count(episodes: Outcomes) -> None:
    noise = np.where(episodes.valid, 0.0, 5.0)
    told = Foretold(episodes.reward + noise, np.where(episodes.valid, episodes.termination, 1.0))
    before, after = (
        rows(dataclasses.replace(episodes, dreaming=x)) for x in (episodes.dreaming, told)
    )
    assert before == after


def test_recordings_without_events_are_refused(episodes: Outcomes) -> None:
    never = dataclasses.replace(
        episodes, reward=np.zeros((N, T)), termination=np.zeros((N, T), bool)
    )
    with pytest.raises(InputError, match="neither"):
        probe_rare_events(never, 1)


def test_a_world_is_asked_at_the_recorded_steps(nano_world: Path, toy_set: Path) -> None:
    predictor = WorldPredictor(World.load(nano_world), "torch", batch=2, precision="fp32")
    found = foretell(predictor.backend, 2, toy_set, "test", 3, 3)
    assert found.valid.shape == found.watching.reward.shape
    assert found.valid.any(1).all()
    first = found.valid[:, 0]
    np.testing.assert_array_equal(found.watching.reward[first, 0], found.dreaming.reward[first, 0])
    inside = found.watching.termination[found.valid]
    assert ((inside >= 0) & (inside <= 1)).all()
    with pytest.raises(InputError, match="context"):
        foretell(predictor.backend, 2, toy_set, "test", 10_000, 3)
