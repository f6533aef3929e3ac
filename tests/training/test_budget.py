"""Budgets, the learning rate inside them, and training time across resumes."""

from itertools import pairwise

import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.training.budget import Budget, Clock, learning_rate


@pytest.mark.parametrize(
    ("steps", "minutes"), [(None, None), (5, 1.0), (0, None), (-1, None), (None, 0.0)]
)
def test_exactly_one_positive_budget(steps: int | None, minutes: float | None) -> None:
    with pytest.raises(InputError, match=f"steps={steps}, minutes={minutes}; give exactly one"):
        Budget(steps, minutes)


def test_progress_runs_from_0_to_1_and_stays() -> None:
    assert [Budget(steps=4).progress(s, 1e9) for s in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert [Budget(minutes=2).progress(9, s) for s in (0, 60, 120, 500)] == [0, 0.5, 1, 1]


def test_the_rate_warms_up_holds_and_anneals_to_zero() -> None:
    rates = [learning_rate(2.0, p / 1000, warmup=0.1, hold=0.5) for p in range(1001)]
    assert 0 < rates[0] < 0.2
    assert rates[100:500] == [2.0] * 400
    assert rates[750] == pytest.approx(1.0)
    assert rates[1000] == pytest.approx(0)
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.03


def test_the_clock_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = Clock()
    now[0] += 5
    assert clock.seconds == 5
    resumed = Clock(clock.seconds)
    now[0] += 2
    assert resumed.seconds == 7
