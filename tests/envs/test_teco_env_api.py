"""`TecoMaze-v0` is what Gymnasium's users expect of an environment."""

import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ClosedEnvironmentError, InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from nano import SPACES, make_nano
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.errors import InputError


def test_gymnasium_checker_finds_nothing(nano_env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(nano_env.unwrapped)


def test_sb3_checker_finds_nothing(nano_env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # SB3 advises against images too small for its own network, which a nano world's are.
        warnings.filterwarnings("ignore", message=".*36x36.*")
        sb3_check_env(nano_env.unwrapped)


@pytest.mark.parametrize("kind", ["multi", "box"])
def test_other_action_spaces(kind):
    env = TecoEnv(make_nano(kind), precision="fp32")
    assert env.action_space == SPACES[kind]
    env.action_space.seed(0)
    env.reset(seed=0)
    frames = [env.step(env.action_space.sample())[0] for _ in range(5)]
    assert len({f.tobytes() for f in frames}) == 5


def test_types(nano_env):
    frame, info = nano_env.reset(seed=0)
    assert (frame.dtype, frame.shape) == (np.uint8, (32, 32, 3))
    assert frame in nano_env.observation_space
    assert {k: type(v) for k, v in info.items()} == {"elapsed_steps": np.int64, "start": np.int64}
    frame, reward, terminated, truncated, info = nano_env.step(2)
    assert frame in nano_env.observation_space
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert (info["elapsed_steps"], type(info["surprise"])) == (1, np.float32)


def test_time_limit_truncates(nano_world):
    env = gymnasium.make("TecoMaze-v0", world=str(nano_world), max_episode_steps=7)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(7)] == [False] * 6 + [True]


def test_spec_round_trips(nano_world):
    env = gymnasium.make(
        "TecoMaze-v0",
        world=str(nano_world),
        precision="fp32",
        sampling={"steps": 1, "temperature": 0.0},
    )
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec
    frames = [e.reset(seed=3)[0].tobytes() + e.step(1)[0].tobytes() for e in (env, again)]
    assert frames[0] == frames[1]


def test_render_before_the_first_step(nano_env):
    frame, _ = nano_env.reset(seed=0)
    picture = nano_env.render()
    assert picture.shape == (192, 192, 3)
    np.testing.assert_array_equal(picture[3::6, 3::6], frame)


def test_render_without_a_mode_is_none():
    env = TecoEnv(make_nano())
    env.reset(seed=0)
    assert env.render() is None


def test_a_changed_observation_changes_nothing_else(nano_env):
    frame, _ = nano_env.reset(seed=0)
    picture = nano_env.render()
    frame[:] = 0
    np.testing.assert_array_equal(nano_env.render(), picture)


def test_before_reset(nano_env):
    bare = nano_env.unwrapped
    for call in (lambda: bare.step(0), bare.render, bare.get_state):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
            call()


def test_after_close(nano_env):
    bare = nano_env.unwrapped
    frame, _ = bare.reset(seed=0)
    nano_env.close()
    nano_env.close()
    calls = (bare.reset, lambda: bare.step(0), bare.render, lambda: bare.observe(frame, 0))
    for call in (*calls, bare.get_state, lambda: bare.set_state({})):
        with pytest.raises(ClosedEnvironmentError, match="make another"):
            call()


@pytest.mark.parametrize("action", [3, -1, 1.0, None, "left", np.array([1, 2]), np.float32(1)])
def test_bad_actions_change_nothing(nano_env, action):
    nano_env.reset(seed=0)
    before = nano_env.unwrapped.get_state()
    with pytest.raises(InvalidAction, match=r"Discrete\(3\)"):
        nano_env.unwrapped.step(action)
    after = nano_env.unwrapped.get_state()
    assert all((before[k] == after[k]).all() for k in before)


def test_bad_box_actions():
    env = TecoEnv(make_nano("box"))
    env.reset(seed=0)
    for action in ([0.0, 2.0], [np.nan, 0.5], [0.0]):
        with pytest.raises(InvalidAction):
            env.step(np.array(action, np.float32))


def test_bad_seed(nano_env):
    with pytest.raises(gymnasium.error.Error, match=r"[Ss]eed"):
        nano_env.unwrapped.reset(seed="seven")


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"backend": "jax"}, "'jax'.*'auto', 'torch'"),
        ({"precision": "fp16"}, "'fp16'.*auto, fp32, bf16"),
        ({"device": "gpu7"}, "'gpu7'.*'cpu'"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": 1.5}, "threads is 1.5"),
        ({"render_mode": "ansi"}, "'ansi'.*'rgb_array'"),
        ({"sampling": {"steps": -1, "temperature": 1.0}}, "steps is -1"),
        ({"sampling": {"steps": 1, "temperature": float("nan")}}, "temperature is nan"),
        ({"sampling": {"passes": 1}}, "passes.*'steps', 'temperature'"),
        ({"sampling": 4}, "sampling is 4"),
        ({"sampling": {"steps": "4"}}, "steps is '4'"),
        ({"sampling": {"temperature": "hot"}}, "temperature is 'hot'"),
        ({"world": None}, "None.*world='maze'"),
        ({"world": 3}, "3.*world='maze'"),
        ({"world": "mars"}, "'mars'.*shipped"),
        ({"world": Path("no/such/folder")}, "no/such/folder"),
    ],
)
def test_bad_arguments(nano_world, kwargs, words):
    with pytest.raises(InputError, match=words):
        TecoEnv(**{"world": nano_world, **kwargs})


def test_torch_random_numbers_stay_the_users(nano_world):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    env = TecoEnv(nano_world)
    env.reset(seed=0)
    env.step(1)
    assert torch.equal(before, torch.random.get_rng_state())
