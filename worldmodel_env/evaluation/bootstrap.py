"""How sure a mean over episodes is: the percentile bootstrap (Efron 1979)."""

from dataclasses import dataclass

import numpy as np

from worldmodel_env.errors import InputError

CONFIDENCE = 0.95
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % confidence interval, each an array of one shape."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean_interval(values: np.ndarray, *, seed: int = 0) -> Interval:
    """The mean over the first axis, with the spread of the means of 1000 resamples of that axis.

    Whole episodes are resampled, since the frames within one are not independent. One episode
    alone has no spread: its interval has no width and says nothing.

    Args:
        values: (N, ...) finite, one row per episode.
        seed: of the resampling; the same seed and values give the same interval.

    Returns:
        Arrays (...) float64.

    Raises:
        InputError: there are no rows, or a value is NaN or infinite.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise InputError(
            f"A mean over {len(values)} episodes has {(~np.isfinite(values)).sum()} values that "
            f"are not finite, where at least one episode and only finite values were expected: "
            f"leave the broken episodes out."
        )
    n = len(values)
    times_drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    means = np.tensordot(times_drawn / n, values, axes=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return Interval(values.mean(0), low, high)
