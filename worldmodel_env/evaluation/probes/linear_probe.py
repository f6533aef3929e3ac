"""Ridge regression in closed form: what can be read off features by one matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the penalty, in units of the features' mean variance."""
_HELD_BACK = 5
"""Every fifth group chooses the strength."""


@dataclass(frozen=True)
class LinearProbe:
    """A linear map from features to targets.

    Attributes:
        centre: (D,) subtracted from features.
        scale: (D,) they are then divided by.
        weights: (D, M).
        bias: (M,).
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def __call__(self, features: NDArray) -> NDArray[np.float64]:
        """Features (E, D) -> targets (E, M)."""
        return ((features - self.centre) / self.scale) @ self.weights + self.bias


def fit_probe(
    features: NDArray, targets: NDArray[np.float64], groups: NDArray[np.int64]
) -> LinearProbe:
    """Fit by least squares with a penalty; its strength is chosen on whole groups held back.

    Args:
        features: (E, D).
        targets: (E, M).
        groups: (E,), the map of each example: frames of one map say nothing new of that map.
    """
    _, group = np.unique(groups, return_inverse=True)
    held = group % _HELD_BACK == 0
    strength = _STRENGTHS[-2]
    if held.any() and not held.all():
        fits = _fit(features[~held], targets[~held], _STRENGTHS)
        errors = [np.square(fit(features[held]) - targets[held]).mean() for fit in fits]
        strength = _STRENGTHS[int(np.argmin(errors))]
    return _fit(features, targets, (strength,))[0]


def _fit(
    features: NDArray, targets: NDArray[np.float64], strengths: tuple[float, ...]
) -> list[LinearProbe]:
    x = np.asarray(features, np.float64)
    centre, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - centre) / scale
    bias = targets.mean(0)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    projected = vectors.T @ (x.T @ (targets - bias) / len(x))
    return [
        LinearProbe(centre, scale, vectors @ (projected / (values[:, None] + strength)), bias)
        for strength in strengths
    ]
