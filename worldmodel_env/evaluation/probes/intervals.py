"""How sure a mean over events is when several events come from one episode."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.bootstrap import CONFIDENCE, RESAMPLES


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval.

    Attributes:
        mean: the number.
        low: lower end.
        high: upper end.
        events: how many values it is over.
    """

    mean: float
    low: float
    high: float
    events: int


def pooled(values: NDArray, groups: NDArray[np.int64], *, seed: int = 0) -> Estimate:
    """The mean over all values; whole groups are resampled, for values within one are alike.

    Args:
        values: (E,) finite.
        groups: (E,), the episode of each.
        seed: of the resampling.

    Raises:
        InputError: there is no value, or one is not finite.
    """
    return ratio(values, np.ones(len(values)), groups, seed=seed)


def ratio(above: NDArray, below: NDArray, groups: NDArray[np.int64], *, seed: int = 0) -> Estimate:
    """sum(above) / sum(below), with whole groups resampled.

    A resample whose denominator is zero says nothing and is left out; if all are (an event that
    never happened), the ends are NaN.

    Args:
        above: (E,) finite.
        below: (E,) finite.
        groups: (E,), the episode of each.
        seed: of the resampling.

    Raises:
        InputError: there is no value, or one is not finite.
    """
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if not len(above) or not (np.isfinite(above).all() and np.isfinite(below).all()):
        raise InputError(
            f"A mean over {len(above)} events was asked for, where at least one and only finite "
            f"values were expected: give more or longer episodes."
        )
    _, index = np.unique(groups, return_inverse=True)
    count = index.max() + 1
    top = np.bincount(index, above, count)
    bottom = np.bincount(index, below, count)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    tops, bottoms = drawn @ top, drawn @ bottom
    told = bottoms != 0
    low, high = np.nan, np.nan
    if told.any():
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(tops[told] / bottoms[told], [tail, 1 - tail])
    mean = top.sum() / bottom.sum() if bottom.sum() else np.nan
    return Estimate(float(mean), float(low), float(high), len(above))
