"""The world that ships: `TecoMaze-v0` as a newcomer meets it."""

import time
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import simulators  # noqa: F401
from agents.walker import FORWARD, LEFT, RIGHT, Walker
from worldmodel_env.imagination.world import World, find_world


@pytest.fixture(scope="module")
def env():
    env = gymnasium.make("worldmodel_env:TecoMaze-v0")
    yield env
    env.close()


def test_it_has_the_simulators_spaces_and_limit(env):
    simulator = gymnasium.make("SimMaze-v0")
    assert env.observation_space == simulator.observation_space
    assert env.action_space == simulator.action_space
    assert env.spec.max_episode_steps == simulator.spec.max_episode_steps
    assert env.unwrapped.world.config.max_episode_steps == env.spec.max_episode_steps


def test_it_is_small_and_says_where_it_comes_from():
    folder = find_world("maze")
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 20e6
    world = World.load("maze")
    assert len(world.starts) >= 500
    assert len(np.unique(world.starts, axis=0)) >= 490
    assert world.provenance["train_frames"] > 0
    assert world.quality
    card = (folder / "README.md").read_text()
    assert all(title in card for title in ("Where it comes from", "Measured"))


def test_it_starts_at_once():
    began = time.process_time()
    env = gymnasium.make("TecoMaze-v0")
    env.reset(seed=0)
    assert time.process_time() - began < 3, "CPU seconds from make to the first frame"


def test_checker_finds_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("TecoMaze-v0", render_mode="rgb_array").unwrapped)


def test_a_batch_of_it():
    envs = gymnasium.make_vec("TecoMaze-v0", num_envs=4, render_mode="rgb_array")
    first, info = envs.reset(seed=0)
    assert len(np.unique(first, axis=0)) == len(set(info["start"].tolist())) == 4
    for _ in range(5):
        frames, *_ = envs.step([LEFT, RIGHT, FORWARD, FORWARD])
    assert frames in envs.observation_space
    assert envs.get_keys_to_action()[ord("w"),] == FORWARD
    single = gymnasium.make("TecoMaze-v0")
    assert single.reset(seed=2)[1]["start"] == info["start"][2]


def sharpness(frames: np.ndarray) -> np.ndarray:
    """Mean difference of neighbouring pixels of each frame (N, H, W, 3)."""
    return np.abs(np.diff(frames.astype(np.float32), axis=2)).mean((1, 2, 3))


def test_a_long_walk_stays_structured(env):
    """120 steps, more than twice the window: contrast, sharpness and variety do not die."""
    walker = Walker(0)
    starts = np.stack([env.reset(seed=s)[0] for s in range(40)])
    frame, _ = env.reset(seed=0)
    frames, rewards, surprises = [frame], [], []
    for _ in range(120):
        frame, reward, _, _, info = env.step(walker.act(frame))
        frames.append(frame)
        rewards.append(reward)
        surprises.append(info["surprise"])
    late = np.stack(frames[-60:])
    assert len({f.tobytes() for f in late}) >= 50
    assert np.median(late.std((1, 2, 3))) > 0.5 * np.median(starts.std((1, 2, 3)))
    ratio = np.median(sharpness(late)) / np.median(sharpness(starts))
    assert 0.4 < ratio < 2.5
    # A model that knows nothing is at ln(1024) = 6.9 nats.
    assert np.median(surprises[-60:]) < 4
    assert min(rewards) > -0.2
    assert max(rewards) < 1.5


def test_turning_moves_the_view_the_other_way(env):
    """A turn to the left by 22.5 degrees slides the picture to the right, one to the right left."""
    agree = []
    for seed in range(12):
        for action, direction in ((LEFT, 1), (RIGHT, -1)):
            before, _ = env.reset(seed=seed)
            after = env.step(action)[0].astype(int)
            error = {}
            for shift in (-14, 14):
                rolled = np.roll(before.astype(int), shift, 1)
                seen = slice(14, None) if shift > 0 else slice(None, -14)
                error[shift] = np.abs(rolled[:, seen] - after[:, seen]).mean()
            agree.append(error[14 * direction] < error[-14 * direction])
    assert np.mean(agree) > 0.8


def test_standing_at_a_start_does_not_end_the_episode(env):
    """As in the simulator, whose goal is far from the start."""
    ended, rewards = [], []
    for seed in range(30):
        env.reset(seed=seed)
        _, reward, terminated, *_ = env.step(FORWARD)
        ended.append(terminated)
        rewards.append(reward)
    assert np.mean(ended) <= 0.1
    assert abs(np.mean(rewards)) < 0.1
