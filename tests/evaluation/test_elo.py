"""Elo ratings of synthetic votes whose answer is known."""

import numpy as np
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.blind.elo import Game, elo_ratings

TRUE = {"good": 1150.0, "fair": 1000.0, "bad": 850.0}


def votes(number: int, seed: int = 0) -> list[Game]:
    """Votes of people who prefer as the ratings of `TRUE` say."""
    rng = np.random.default_rng(seed)
    names = list(TRUE)
    games = []
    for _ in range(number):
        a, b = rng.choice(names, 2, replace=False)
        chance = 1 / (1 + 10 ** ((TRUE[b] - TRUE[a]) / 400))
        games.append(Game(a, b, float(rng.random() < chance)))
    return games


def test_known_ratings_are_found_and_lie_in_their_intervals() -> None:
    found = elo_ratings(votes(3000))
    assert list(found) == ["good", "fair", "bad"]
    for name, rating in found.items():
        assert abs(rating.elo - TRUE[name]) < 25
        assert rating.low <= TRUE[name] <= rating.high
        assert rating.low < rating.elo < rating.high
    assert sum(rating.elo for rating in found.values()) == pytest.approx(3000)
    assert sum(rating.games for rating in found.values()) == 6000
    assert sum(rating.wins for rating in found.values()) == 3000


def test_more_votes_give_narrower_intervals() -> None:
    widths = [
        max(r.high - r.low for r in elo_ratings(votes(number)).values()) for number in (100, 1600)
    ]
    assert widths[1] < widths[0] / 2


def test_order_and_sides_do_not_matter() -> None:
    games = votes(200)
    turned = [Game(g.second, g.first, 1 - g.score) for g in reversed(games)]
    for name, rating in elo_ratings(games).items():
        assert elo_ratings(turned)[name].elo == pytest.approx(rating.elo)


def test_ties_alone_rate_all_alike() -> None:
    found = elo_ratings([Game("a", "b", 0.5)] * 20)
    assert [rating.elo for rating in found.values()] == pytest.approx([1000, 1000])
    assert all(rating.low == rating.high for rating in found.values())


def test_who_never_lost_has_a_finite_rating() -> None:
    found = elo_ratings([Game("a", "b", 1.0)] * 50)
    assert np.isfinite(found["a"].elo)
    assert 1400 < found["a"].elo < 3000
    assert found["a"].wins == 50


@pytest.mark.parametrize("games", [[], [Game("a", "a", 1.0)]])
def test_votes_that_say_nothing_are_refused(games: list[Game]) -> None:
    with pytest.raises(InputError):
        elo_ratings(games)
