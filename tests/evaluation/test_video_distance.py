"""FVD and KVD: the published value, closed forms, and what each does with few samples."""

import numpy as np
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics.i3d import FEATURES, I3d
from worldmodel_env.evaluation.metrics.video import (
    frechet_distance,
    kernel_distance,
    video_distance,
)


@pytest.fixture(scope="module")
def network() -> I3d:
    return I3d()


def normal(n: int, features: int = 16, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (n, features))


def test_published_value_of_black_against_white(network: I3d) -> None:
    black = network.features(np.zeros((1, 10, 64, 64, 3), np.uint8)).repeat(8, 0)
    white = network.features(np.full((1, 10, 64, 64, 3), 255, np.uint8)).repeat(8, 0)
    assert black.shape == (8, FEATURES)
    found = video_distance(black, white)
    assert found.fvd == pytest.approx(569.7705, abs=0.001)
    assert found.rank_deficient
    assert (found.real, found.imagined) == (8, 8)


def test_features_need_frames_enough_and_of_bytes(network: I3d) -> None:
    with pytest.raises(InputError, match="videos of 8 frames where at least 9"):
        network.features(np.zeros((1, 8, 64, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"float32 \(9, 64, 64, 3\) where uint8 \(T, H, W, 3\)"):
        network.features(np.full((1, 9, 64, 64, 3), np.nan, np.float32))
    assert network.features([]).shape == (0, FEATURES)


def test_equal_to_the_closed_form_of_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    scale, shift = rng.uniform(0.5, 2, 6), rng.normal(size=6)
    a = normal(200_000, 6)
    b = normal(200_000, 6, seed=1) * scale + shift
    wanted = np.square(shift).sum() + np.square(scale - 1).sum()
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=0.02)


def test_equal_to_the_matrix_root_of_correlated_features() -> None:
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    a = normal(300, 12) @ rng.normal(size=(12, 12))
    b = normal(300, 12, seed=1) @ rng.normal(size=(12, 12)) + 1
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(first @ second).real
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_symmetric_and_growing_with_the_shift(distance) -> None:
    a = normal(500)
    values = [distance(a, normal(500, seed=1, shift=shift)) for shift in (0.0, 0.5, 1.0)]
    assert values == sorted(values)
    b = normal(300, seed=2, shift=0.3)
    assert distance(a, b) == pytest.approx(distance(b, a))


def test_fvd_of_a_set_with_itself_is_nothing_however_few() -> None:
    few = normal(5, 64)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(few, few) >= 0


def test_few_samples_raise_fvd_and_leave_kvd_alone() -> None:
    fvd, kvd = {}, {}
    for n in (8, 256):
        pairs = [(normal(n, 64, 2 * i), normal(n, 64, 2 * i + 1)) for i in range(40)]
        fvd[n] = np.mean([frechet_distance(a, b) for a, b in pairs])
        found = [kernel_distance(a, b) for a, b in pairs]
        kvd[n] = np.mean(found) / (np.std(found) / np.sqrt(len(found)))
    assert fvd[8] > 3 * fvd[256]
    assert all(abs(error) < 3 for error in kvd.values()), "KVD differs from 0 by chance only"


def test_fewer_samples_than_features_are_flagged() -> None:
    assert video_distance(normal(16), normal(40, seed=1)).rank_deficient
    assert not video_distance(normal(17), normal(17, seed=1)).rank_deficient


def test_broken_features_are_refused() -> None:
    a = normal(4)
    broken = a.copy()
    broken[1, 2] = np.nan
    with pytest.raises(InputError, match="1 features that are not finite"):
        video_distance(a, broken)
    with pytest.raises(InputError, match=r"\(1, 16\) and \(4, 16\)"):
        frechet_distance(a[:1], a)
    with pytest.raises(InputError, match=r"\(4, 16\) and \(4, 15\)"):
        kernel_distance(a, a[:, :15])
