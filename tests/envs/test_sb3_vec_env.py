"""Stable-Baselines3's VecEnv over N imagined worlds: as its own DummyVecEnv over single ones."""

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import vector
from nano import make_nano

pytest.importorskip("stable_baselines3")
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecFrameStack,
    VecMonitor,
)

import worldmodel_env  # noqa: F401
from worldmodel_env.envs.sb3 import Sb3VecEnv
from worldmodel_env.errors import InputError

ROWS = 4
MODES = ["SameStep", "Disabled"]


def make(world, mode="SameStep", rows=ROWS, limit=6, **kwargs):
    return gymnasium.make_vec(
        "TecoMaze-v0",
        num_envs=rows,
        world=world,
        max_episode_steps=limit,
        autoreset_mode=mode,
        **kwargs,
    )


def singles(world, rows=ROWS, limit=6, **kwargs):
    def one():
        return gymnasium.make("TecoMaze-v0", world=world, max_episode_steps=limit, **kwargs)

    return DummyVecEnv([one] * rows)


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return np.array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
def test_steps_as_dummy_vec_env_does(toy_world, mode):
    batched, looped = Sb3VecEnv(make(toy_world, mode)), singles(toy_world)
    assert batched.seed(3) == looped.seed(3)
    np.testing.assert_array_equal(batched.reset(), looped.reset())
    rng = np.random.default_rng(0)
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(60):
        actions = rng.integers(3, size=ROWS)
        got, expected = batched.step(actions), looped.step(actions)
        for a, b in zip(got[:3], expected[:3], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        for i in range(ROWS):
            assert same(got[3][i], expected[3][i])
            assert same(batched.reset_infos[i], looped.reset_infos[i])
            assert ("terminal_observation" in got[3][i]) == got[2][i]
            if got[2][i]:
                limit = got[3][i]["TimeLimit.truncated"]
                ends["truncated" if limit else "terminated"] += 1
    assert min(ends.values()) >= 5


@pytest.mark.parametrize("mode", MODES)
def test_the_last_frame_is_kept_when_the_next_episode_is_stepped(toy_world, mode):
    env = Sb3VecEnv(make(toy_world, mode, limit=3))
    env.reset()
    kept = []
    for _ in range(12):
        infos = env.step(np.zeros(ROWS, int))[3]
        last = [info.get("terminal_observation") for info in infos]
        kept += [(frame, frame.copy()) for frame in last if frame is not None]
    assert len(kept) >= 4 * ROWS
    assert all(np.array_equal(frame, copy) for frame, copy in kept)


def test_seeds_and_options_hold_for_one_reset(toy_world):
    env = Sb3VecEnv(make(toy_world))
    env.seed(7)
    first = env.reset()
    assert not np.array_equal(env.reset(), first)
    env.seed(7)
    np.testing.assert_array_equal(env.reset(), first)
    env.set_options({"start": np.arange(ROWS)})
    env.reset()
    assert [info["start"] for info in env.reset_infos] == list(range(ROWS))
    env.set_options({"start": 5})
    env.reset()
    assert [info["start"] for info in env.reset_infos] == [5] * ROWS
    with pytest.raises(InputError, match="one dict"):
        env.set_options([{"start": 1}] * ROWS)


def test_attributes_and_methods(toy_world):
    env = Sb3VecEnv(make(toy_world, render_mode="rgb_array"))
    env.seed(0)
    env.reset()
    looped = singles(toy_world, render_mode="rgb_array")
    looped.seed(0)
    looped.reset()
    for name in ("render_mode", "observation_space", "action_space", "np_random_seed"):
        assert env.get_attr(name) == looped.get_attr(name)
        assert env.get_attr(name, indices=[2, 0]) == looped.get_attr(name, indices=[2, 0])
    assert not env.has_attr("no_such")
    assert env.get_attr("np_random", 1) == [env.env.unwrapped.np_random[1]]
    np.testing.assert_array_equal(env.render(), looped.render())
    keys = env.env_method("get_keys_to_action")
    assert keys == looped.env_method("get_keys_to_action")
    states = env.env_method("get_state")
    assert all(map(same, states, looped.env_method("get_state")))
    env.env_method("set_state", states[2])
    assert all(same(state, states[2]) for state in env.env_method("get_state"))
    env.set_attr("max_episode_steps", 1)
    assert all(env.step(np.zeros(ROWS, int))[2])
    for refused in (
        lambda: env.set_attr("max_episode_steps", 2, indices=0),
        lambda: env.env_method("get_state", indices=[0, 1]),
    ):
        with pytest.raises(InputError, match="leave out indices"):
            refused()


def test_gymnasium_wrappers_inside(toy_world):
    env = Sb3VecEnv(vector.RecordEpisodeStatistics(make(toy_world, "Disabled", limit=5)))
    assert env.env_is_wrapped(Monitor) == [False] * ROWS
    assert env.env_is_wrapped(vector.RecordEpisodeStatistics, indices=0) == [True]
    env.reset()
    totals, seen = np.zeros(ROWS), 0
    for _ in range(20):
        _, rewards, dones, infos = env.step(np.ones(ROWS, int))
        totals += rewards
        for i in np.flatnonzero(dones):
            assert infos[i]["episode"]["r"] == pytest.approx(totals[i])
            assert infos[i]["elapsed_steps"] == infos[i]["episode"]["l"]
            totals[i], seen = 0, seen + 1
    assert seen >= 4 * ROWS


@pytest.mark.parametrize("mode", MODES)
def test_ppo_trains_evaluates_and_is_saved(tmp_path, mode):
    # SB3's network for images refuses frames under 36 x 36.
    world = make_nano(resolution=64)
    env = VecMonitor(VecFrameStack(VecCheckNan(Sb3VecEnv(make(world, mode)), True), 2))
    model = PPO("CnnPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(2 * 16 * ROWS)
    assert model.num_timesteps == 2 * 16 * ROWS
    assert len(model.ep_info_buffer) == ROWS * (32 // 6)
    model.save(tmp_path / "ppo")
    loaded = PPO.load(tmp_path / "ppo", env=env, device="cpu")
    returns, lengths = evaluate_policy(loaded, env, 6, return_episode_rewards=True)
    assert lengths == [6] * 6
    assert np.isfinite(returns).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"mode": "NextStep"}, "autoreset_mode='SameStep'"), ({"output": "torch"}, "output='numpy'")],
)
def test_unfit_environments_are_refused(toy_world, kwargs, message):
    with pytest.raises(InputError, match=message):
        Sb3VecEnv(make(toy_world, **kwargs))


def test_single_environments_are_refused(toy_world):
    with pytest.raises(InputError, match="make_vec"):
        Sb3VecEnv(gymnasium.make("TecoMaze-v0", world=toy_world))
