import shutil
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


def test_jumping_back_and_forth_changes_nothing(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    wanted = [FrameSampler(dataset, "train", 8, 5).batch(step) for step in range(6)]
    sampler = FrameSampler(dataset, "train", 8, 5)
    for step in (0, 1, 2, 5, 2, 3, 4, 0, 0, 1, 2):  # batches drawn ahead are not always wanted
        np.testing.assert_array_equal(sampler.batch(step), wanted[step])


def test_a_file_that_breaks_meanwhile_is_named(toy_set, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(toy_set, copy)
    sampler = FrameSampler(TrajectoryDataset.open(copy), "train", 8, 5)
    sampler.batch(0)
    for path in (copy / "data" / "episodes").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        [sampler.batch(step) for step in range(1, 9)]
