"""Distances between two sets of videos, from their I3D features (`i3d.py`).

FVD (Unterthiner et al. 2018) is the Fréchet distance between Gaussians fitted to the two sets. It
is biased upwards by hundreds when samples are few, so it is worth something only beside another
FVD of the same number of samples. KVD, the squared maximum mean discrepancy with a cubic kernel,
has no such bias, and no scale of its own either.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class VideoDistance:
    """Both distances between two sets of videos.

    Attributes:
        fvd: 0 or more.
        kvd: about 0 for two samples of one distribution, and then as often negative as positive.
        real: samples of the first set.
        imagined: samples of the second set.
        rank_deficient: a set has no more samples than there are features, so that its covariance
            is not of full rank and FVD says little.
    """

    fvd: float
    kvd: float
    real: int
    imagined: int
    rank_deficient: bool


def video_distance(real: NDArray[np.float64], imagined: NDArray[np.float64]) -> VideoDistance:
    """FVD and KVD between features (N, F) and (M, F).

    Raises:
        InputError: fewer than two samples in a set, different numbers of features, or values that
            are not finite.
    """
    return VideoDistance(
        fvd=frechet_distance(real, imagined),
        kvd=kernel_distance(real, imagined),
        real=len(real),
        imagined=len(imagined),
        rank_deficient=min(len(real), len(imagined)) <= real.shape[1],
    )


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """|mean difference|² + tr(A + B - 2 (A B)^½), A and B the covariances of (N, F) and (M, F).

    The root's trace is that of (A^½ B A^½)^½, which is symmetric: its eigenvalues are real and,
    rounding aside, not negative, where those of A B need not be.

    Raises:
        InputError: as `video_distance`.
    """
    _check(a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    first, second = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (a, b))
    values, vectors = np.linalg.eigh(first)
    half = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    roots = np.sqrt(np.linalg.eigvalsh(half @ second @ half).clip(0))
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    spread = np.trace(first) + np.trace(second) - 2 * roots.sum()
    return float(max(apart + spread, 0.0))


def kernel_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The unbiased squared discrepancy under (x·y / F + 1)³ of (N, F) and (M, F) features.

    Raises:
        InputError: as `video_distance`.
    """
    _check(a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)

    def kernel(x: NDArray, y: NDArray) -> NDArray:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def among(x: NDArray) -> float:
        # A sample beside itself is left out: that is what makes the estimate unbiased.
        gram = kernel(x, x)
        return (gram.sum() - np.trace(gram)) / (len(x) * (len(x) - 1))

    return float(among(a) + among(b) - 2 * kernel(a, b).mean())


def _check(a: NDArray, b: NDArray) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(
            f"A video distance got features {a.shape} and {b.shape} where (N, F) and (M, F) with N "
            f"and M at least 2 were expected: compare more videos."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError(
            f"A video distance got {(~np.isfinite(a)).sum() + (~np.isfinite(b)).sum()} features "
            f"that are not finite: leave the broken videos out."
        )
