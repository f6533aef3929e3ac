"""How sure a result over several trainings and many episodes is.

After Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice":
the interquartile mean with a bootstrap. Their package resamples trainings within each task; here
the mazes are a sample too, so trainings are resampled first and then the episodes of each. Rates
get a plain mean, for the interquartile mean of zeros and ones is nearly always 0 or 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError

RESAMPLES = 1000
CONFIDENCE = 0.95

Statistic = Callable[[NDArray[np.float64]], float]


@dataclass(frozen=True)
class Estimate:
    """A number and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean(values: NDArray[np.float64]) -> float:
    """Of all values."""
    return float(values.mean())


def interquartile_mean(values: NDArray[np.float64]) -> float:
    """Mean of the middle half, as the sorted values' quarters at either end are left out."""
    ordered = np.sort(values, axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def estimate(
    runs: Sequence[NDArray], statistic: Statistic = interquartile_mean, *, seed: int = 0
) -> Estimate:
    """A statistic of all episodes of several trainings of one kind.

    Args:
        runs: an array (E,) for each training; all together hold at least one value.
        statistic: of the values of all.
        seed: of the resampling.

    Raises:
        InputError: there is nothing to judge, or a value is no number.
    """
    return ratio_of([runs], lambda groups: statistic(groups[0]), seed=seed)


def ratio_of(
    groups: Sequence[Sequence[NDArray]],
    statistic: Callable[[list[NDArray[np.float64]]], float],
    *,
    seed: int = 0,
) -> Estimate:
    """A statistic that compares kinds, such as (imagined - random) / (simulator - random).

    Args:
        groups: for each kind its trainings' values.
        statistic: of all values of each kind.
        seed: of the resampling.
    """
    kinds = [[np.asarray(run, np.float64) for run in runs if len(run)] for runs in groups]
    for runs in kinds:
        if not runs or not all(np.isfinite(run).all() for run in runs):
            raise InputError(
                "a result has no values, or some that are no numbers; evaluate at least one "
                "episode of each kind, and leave the broken ones out."
            )
    random = np.random.default_rng(seed)

    def resampled(runs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        chosen = [runs[i] for i in random.integers(len(runs), size=len(runs))]
        return np.concatenate([run[random.integers(len(run), size=len(run))] for run in chosen])

    value = statistic([np.concatenate(runs) for runs in kinds])
    drawn = [statistic([resampled(runs) for runs in kinds]) for _ in range(RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
