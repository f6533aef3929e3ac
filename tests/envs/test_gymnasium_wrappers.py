"""Gymnasium's wrappers take imagined environments as they take any."""

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.wrappers import vector

LIMIT = 6


@pytest.fixture
def single(nano_world):
    return gymnasium.make(
        "TecoMaze-v0",
        world=str(nano_world),
        precision="fp32",
        render_mode="rgb_array",
        max_episode_steps=LIMIT,
    )


def many(world, mode="NextStep", **kwargs):
    return gymnasium.make_vec(
        "TecoMaze-v0",
        num_envs=3,
        world=str(world),
        precision="fp32",
        render_mode="rgb_array",
        max_episode_steps=LIMIT,
        autoreset_mode=mode,
        **kwargs,
    )


def test_frame_stack(single):
    env = wrappers.FrameStackObservation(single, 4)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (4, 32, 32, 3)
    first = obs[-1]
    obs, *_ = env.step(1)
    np.testing.assert_array_equal(obs[-2], first)
    assert obs in env.observation_space


def test_rescale(single):
    plain, _ = single.reset(seed=0)
    env = wrappers.RescaleObservation(
        wrappers.DtypeObservation(single, np.float32), np.float32(0), np.float32(1)
    )
    obs, _ = env.reset(seed=0)
    np.testing.assert_allclose(obs, plain / 255, atol=1e-6)


def test_statistics(single):
    env = wrappers.RecordEpisodeStatistics(single)
    env.reset(seed=0)
    rewards, ended = [], False
    while not ended:
        _, reward, terminated, truncated, info = env.step(2)
        rewards.append(reward)
        ended = terminated or truncated
    assert info["episode"]["l"] == len(rewards)
    assert info["episode"]["r"] == pytest.approx(sum(rewards))


def test_video(single, tmp_path):
    pytest.importorskip("moviepy")
    env = wrappers.RecordVideo(single, str(tmp_path), episode_trigger=lambda _: True)
    env.reset(seed=0)
    while not any(env.step(2)[2:4]):
        pass
    env.close()
    assert [f.suffix for f in tmp_path.iterdir()] == [".mp4"]


def test_lists_of_frames_and_tensors(nano_world):
    env = gymnasium.make("TecoMaze-v0", world=str(nano_world), render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(0)
    assert [f.shape for f in env.render()] == [(192, 192, 3)] * 2
    pytest.importorskip("array_api_compat")
    obs, _ = wrappers.NumpyToTorch(env).reset(seed=0)
    assert obs.shape == (32, 32, 3)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_vector_statistics(nano_world, mode):
    env = vector.RecordEpisodeStatistics(many(nano_world, mode))
    env.reset(seed=0)
    totals, episodes = np.zeros(3), 0
    for _ in range(3 * LIMIT):
        _, reward, terminated, truncated, info = env.step([2, 2, 2])
        totals += reward
        for row in np.flatnonzero(terminated | truncated):
            assert info["episode"]["l"][row] <= LIMIT
            assert info["episode"]["r"][row] == pytest.approx(totals[row])
            totals[row] = 0
            episodes += 1
    assert episodes >= 6


def test_vector_rescale_and_dtype(nano_world):
    plain, _ = many(nano_world).reset(seed=0)
    env = vector.RescaleObservation(
        vector.DtypeObservation(many(nano_world), np.float32), np.float32(0), np.float32(1)
    )
    obs, _ = env.reset(seed=0)
    np.testing.assert_allclose(obs, plain / 255, atol=1e-6)
    assert env.step([0, 1, 2])[0].shape == (3, 32, 32, 3)


def test_vector_lists_and_tensors(nano_world):
    env = vector.DictInfoToList(many(nano_world))
    _, infos = env.reset(seed=0)
    assert [info["elapsed_steps"] for info in infos] == [0, 0, 0]
    pytest.importorskip("array_api_compat")
    expected, _ = many(nano_world).reset(seed=0)
    obs, _ = vector.NumpyToTorch(many(nano_world)).reset(seed=0)
    np.testing.assert_array_equal(obs.numpy(), expected)


def test_vector_video(nano_world, tmp_path):
    pytest.importorskip("moviepy")
    env = vector.RecordVideo(many(nano_world), str(tmp_path), episode_trigger=lambda _: True)
    env.reset(seed=0)
    for _ in range(LIMIT):
        env.step([0, 1, 2])
    env.close()
    assert [f.suffix for f in tmp_path.iterdir()] == [".mp4"]


def test_vector_frame_stack(nano_world):
    """Gymnasium has none for vectors: the single wrapper over single environments does it."""
    env = gymnasium.make_vec(
        "TecoMaze-v0",
        num_envs=2,
        vectorization_mode="sync",
        wrappers=(lambda e: wrappers.FrameStackObservation(e, 2),),
        world=str(nano_world),
    )
    obs, _ = env.reset(seed=0)
    assert obs.shape == (2, 2, 32, 32, 3)
    assert env.step([0, 1])[0].shape == (2, 2, 32, 32, 3)
