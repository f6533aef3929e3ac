"""Elo ratings from pairwise votes, with bootstrap intervals.

The ratings are the maximum-likelihood ones of the Bradley-Terry model, which is what Elo's update
tends to, and which do not depend on the order of the votes:

    P(a beats b) = 1 / (1 + 10^((R_b - R_a) / 400)),   mean of all R = 1000; a tie is half a win.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.bootstrap import CONFIDENCE, RESAMPLES

MEAN = 1000.0
SCALE = 400 / np.log(10)
"""Elo points per natural unit of log-odds."""
_PRIOR = 0.05
"""Strength that pulls ratings together: who never lost would have an infinite one."""
_STEPS = 30


@dataclass(frozen=True)
class Game:
    """One vote between two models.

    Attributes:
        first: a model.
        second: another.
        score: 1 if the first was preferred, 0 if the second, 0.5 if neither.
    """

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class Rating:
    """A model's rating.

    Attributes:
        elo: the rating.
        low: lower end of its 95 % interval.
        high: upper end.
        games: votes it took part in.
        wins: of those, how many it won, ties counting half.
    """

    elo: float
    low: float
    high: float
    games: int
    wins: float


def elo_ratings(games: Sequence[Game], *, seed: int = 0) -> dict[str, Rating]:
    """Rate every model that occurs.

    Args:
        games: votes on one axis.
        seed: of the bootstrap over votes.

    Returns:
        Model -> rating, the best first.

    Raises:
        InputError: there is no vote, or a model is compared with itself.
    """
    if not games:
        raise InputError("There are no votes to rate by; vote on the page and save the votes.")
    if same := next((game for game in games if game.first == game.second), None):
        raise InputError(
            f"A vote compares {same.first!r} with itself; give models different names."
        )
    names = sorted({name for game in games for name in (game.first, game.second)})
    place = {name: i for i, name in enumerate(names)}
    first = np.array([place[game.first] for game in games])
    second = np.array([place[game.second] for game in games])
    score = np.array([game.score for game in games], np.float64)
    fitted = _fit(first, second, score, np.ones(len(games)), len(names))
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(games), np.full(len(games), 1 / len(games)), RESAMPLES)
    drawn = np.stack([_fit(first, second, score, weight, len(names)) for weight in times])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    wins = np.bincount(first, score, len(names)) + np.bincount(second, 1 - score, len(names))
    played = np.bincount(first, minlength=len(names)) + np.bincount(second, minlength=len(names))
    return {
        names[i]: Rating(
            float(fitted[i]), float(low[i]), float(high[i]), int(played[i]), float(wins[i])
        )
        for i in np.argsort(-fitted, kind="stable")
    }


def _fit(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    score: NDArray[np.float64],
    weight: NDArray,
    models: int,
) -> NDArray[np.float64]:
    """Newton's method on the penalised log-likelihood: ratings (models,)."""
    strength = np.zeros(models)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(strength[second] - strength[first]))
        surprise = weight * (score - chance)
        won, lost = (np.bincount(side, surprise, models) for side in (first, second))
        gradient = won - lost - _PRIOR * strength
        spread = weight * chance * (1 - chance)
        hessian = np.eye(models) * _PRIOR
        for a, b, sign in (
            (first, first, 1), (second, second, 1), (first, second, -1), (second, first, -1),
        ):  # fmt: skip
            np.add.at(hessian, (a, b), sign * spread)
        change = np.linalg.solve(hessian, gradient)
        strength += np.clip(change, -2, 2)  # far from the optimum a full step would overshoot
        if np.abs(change).max() < 1e-9:
            break
    return MEAN + SCALE * (strength - strength.mean())
