"""Budgets, the learning rate inside them, and training time across resumes."""

from itertools import pairwise

import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.training.budget import Budget, Clock, Pace, anneal
from worldmodel_env.training.recipes import Schedule


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
    rates = [anneal(2.0, p / 1000, warmup=0.1, hold=0.5) for p in range(1001)]
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


def test_the_papers_schedule_ends_with_the_last_step() -> None:
    budget, paper = Budget(steps=1_000_000), Schedule("cosine", warmup_steps=5_000)
    rate = [budget.rate(1e-4, paper, step, 0.0) for step in range(0, 1_000_001, 2_500)]
    assert rate[0] == 0
    assert rate[1] == pytest.approx(0.5e-4)
    assert rate[2] == 1e-4
    assert rate[2:] == sorted(rate[2:], reverse=True)
    assert rate[-1] == pytest.approx(0, abs=1e-12)
    assert rate[-2] > 0


def test_the_references_schedule_ends_early() -> None:
    """Its own numbers: see the specification of the reference."""
    budget, reference = Budget(steps=1_000_000), Schedule("cosine", 5_000, ends_early=True)
    rates = {step: budget.rate(1e-4, reference, step, 0.0) for step in (500_000, 900_000)}
    assert rates == pytest.approx({500_000: 5.0e-5, 900_000: 2.25e-6}, rel=5e-3)
    assert budget.rate(1e-4, reference, 994_000, 0.0) > 0
    for step in (995_000, 997_000, 999_999):
        assert budget.rate(1e-4, reference, step, 0.0) == 0


def test_a_schedule_in_steps_needs_a_budget_in_steps() -> None:
    assert Budget(minutes=1).rate(2.0, Schedule(), 0, 0.25) == 2.0
    with pytest.raises(InputError, match="give its budget as --steps instead of --minutes"):
        Budget(minutes=1).rate(2.0, Schedule("cosine"), 0, 0.25)


def test_what_is_left_of_a_budget() -> None:
    assert Budget(steps=100).left(40, 1e9, seconds_per_step=0.5) == 30
    assert Budget(minutes=2).left(40, 90, seconds_per_step=0.5) == 30
    assert Budget(minutes=2).left(40, 500, seconds_per_step=0.5) == 0


def test_the_pace_follows_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pace = [0.0], Pace()
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def step(seconds: float) -> None:
        with pace:
            now[0] += seconds
        now[0] += 100  # evaluations between steps do not count

    step(2)
    assert pace.speed(frames=8) == {"seconds_per_step": 2, "frames_per_second": 4}
    step(4)
    assert pace.seconds == 3
    for _ in range(500):
        step(1)
    assert pace.seconds == pytest.approx(1, abs=1e-3)
