from collections import Counter

import numpy as np
import pytest

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.frames import FrameSampler
from worldmodel_env.errors import InputError


def test_a_batch_depends_on_seed_and_step_alone(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    sampler = FrameSampler(dataset, "train", 16, seed=5)
    forward = [sampler.batch(step) for step in range(4)]
    backward = [FrameSampler(dataset, "train", 16, seed=5).batch(step) for step in (3, 2, 1, 0)]
    for one, other in zip(forward, reversed(backward), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(forward[0], forward[1])
    assert not np.array_equal(forward[0], FrameSampler(dataset, "train", 16, seed=6).batch(0))


@pytest.mark.parametrize("batch_size", [1, 3, 4, 30])
def test_batches_have_their_size(toy_set, batch_size):
    batch = FrameSampler(TrajectoryDataset.open(toy_set), "train", batch_size, 0).batch(0)
    assert batch.shape == (batch_size, 32, 32, 3)
    assert batch.dtype == np.uint8


def test_every_frame_of_the_split_is_drawn_about_equally(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    frames = Counter(
        frame.tobytes()
        for ref in dataset.episodes("train")
        for frame in dataset.read(ref).observations
    )
    sampler = FrameSampler(dataset, "train", 64, 0)
    drawn = Counter(frame.tobytes() for step in range(150) for frame in sampler.batch(step))
    assert set(drawn) <= set(frames)
    expected = 64 * 150 / sum(frames.values())
    shares = [drawn[frame] / count / expected for frame, count in frames.items()]
    assert min(shares) > 0.3
    assert max(shares) < 2.5


def test_bad_arguments_are_refused(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    with pytest.raises(InputError, match="batch_size is 0"):
        FrameSampler(dataset, "train", 0, 0)
    with pytest.raises(InputError, match="unknown split"):
        FrameSampler(dataset, "dev", 8, 0)
