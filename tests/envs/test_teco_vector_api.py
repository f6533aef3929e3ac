"""`gymnasium.make_vec("TecoMaze-v0")` is what Gymnasium's users expect of a vector environment."""

import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ClosedEnvironmentError, Error, InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from nano import SPACES, make_nano

from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.errors import InputError

N = 3


def make(world, **kwargs):
    return gymnasium.make_vec(
        "worldmodel_env:TecoMaze-v0", num_envs=N, world=world, precision="fp32", **kwargs
    )


@pytest.fixture
def env(nano_world):
    env = make(str(nano_world), render_mode="rgb_array")
    yield env
    env.close()


def test_make_vec_is_native_and_does_not_warn(nano_world):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make(str(nano_world))
    assert isinstance(env, TecoVectorEnv)
    assert isinstance(env, VectorEnv)
    assert str(env) == "TecoVectorEnv(TecoMaze-v0, num_envs=3)"
    assert env.metadata["autoreset_mode"] is env.autoreset_mode is AutoresetMode.NEXT_STEP
    assert env.single_observation_space == env.world.observation_space
    assert env.observation_space.shape == (N, 32, 32, 3)
    assert env.action_space == gymnasium.spaces.MultiDiscrete([3] * N)


def test_types(env):
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert obs in env.observation_space
    assert [a.dtype for a in (obs, reward, terminated, truncated)] == [
        np.uint8, np.float64, np.bool_, np.bool_
    ]  # fmt: skip
    assert {k: (v.dtype, v.shape) for k, v in info.items() if k[0] != "_"} == {
        "elapsed_steps": (np.int64, (N,)),
        "start": (np.int64, (N,)),
        "surprise": (np.float32, (N,)),
    }


@pytest.mark.parametrize("kind", ["multi", "box"])
def test_other_action_spaces(kind):
    env = TecoVectorEnv(N, make_nano(kind), precision="fp32")
    assert env.single_action_space == SPACES[kind]
    env.action_space.seed(0)
    env.reset(seed=0)
    frames = [env.step(env.action_space.sample())[0].tobytes() for _ in range(4)]
    assert len(set(frames)) == 4


def test_torch_output_shares_memory_and_equals_numpy(nano_world):
    plain, env = make(str(nano_world)), make(str(nano_world), output="torch")
    assert env.metadata["torch"] is True
    assert "torch" not in plain.metadata
    expected, _ = plain.reset(seed=4)
    obs, _ = env.reset(seed=4)
    actions = np.array([0, 1, 2])
    for given in (actions, torch.from_numpy(actions)):
        assert torch.is_tensor(obs)
        assert obs.data_ptr() == env._moment.frame.data_ptr(), "no copy"
        np.testing.assert_array_equal(obs.numpy(), expected)
        expected, *wanted = plain.step(actions)[:4]
        obs, *got = env.step(given)[:4]
        for tensor, array in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), array)
        assert [t.dtype for t in got] == [torch.float32, torch.bool, torch.bool]


def test_torch_output_of_final_observations(toy_world):
    env = make(toy_world, output="torch", autoreset_mode="SameStep", max_episode_steps=2)
    env.reset(seed=0)
    env.step([0] * N)
    obs, _, _, truncated, info = env.step([0] * N)
    assert truncated.all()
    assert all(torch.is_tensor(last) for last in info["final_obs"])
    assert not torch.equal(torch.stack(list(info["final_obs"])), obs)


def test_a_changed_observation_changes_nothing_else(env):
    obs, _ = env.reset(seed=0)
    pictures = env.render()
    obs[:] = 0
    np.testing.assert_array_equal(env.render(), pictures)


def test_render(env, nano_world):
    obs, _ = env.reset(seed=0)
    pictures = env.render()
    assert isinstance(pictures, tuple)
    assert [p.shape for p in pictures] == [(192, 192, 3)] * N
    np.testing.assert_array_equal(np.stack(pictures)[:, 3::6, 3::6], obs)
    silent = make(str(nano_world))
    silent.reset()
    assert silent.render() is None


def test_spec_round_trips(nano_world):
    env = make(str(nano_world), autoreset_mode="SameStep", sampling={"steps": 1})
    again = gymnasium.make_vec(EnvSpec.from_json(env.spec.to_json()))
    assert (again.num_envs, again.autoreset_mode) == (N, AutoresetMode.SAME_STEP)
    np.testing.assert_array_equal(env.reset(seed=0)[0], again.reset(seed=0)[0])


def test_pickle_and_deepcopy_go_on_alike(env):
    env.reset(seed=6)
    env.step([0, 1, 2])
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    future = [env.step([t % 3] * N)[0] for t in range(5)]
    again = env.reset()[0]
    for other in copies:
        np.testing.assert_array_equal([other.step([t % 3] * N)[0] for t in range(5)], future)
        np.testing.assert_array_equal(other.reset()[0], again)
    assert copies[0].world is env.world


def test_chosen_starts(env):
    expected, _ = env.reset(seed=0, options={"start": 7})
    assert len(np.unique(expected, axis=0)) == 1
    obs, info = env.reset(seed=0, options={"start": [7, 2, 7]})
    assert info["start"].tolist() == [7, 2, 7]
    np.testing.assert_array_equal(obs[0], expected[0])
    assert (obs[1] != obs[0]).any()


def test_contexts_for_all_and_for_each(env):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (N, 4, 32, 32, 3), dtype=np.uint8)
    actions = rng.integers(0, 3, (N, 3))
    obs, info = env.reset(seed=1, options={"context": (frames, actions)})
    np.testing.assert_array_equal(obs, frames[:, -1])
    assert info["start"].tolist() == [-1] * N
    each = env.step([1] * N)[0]
    env.reset(seed=1, options={"context": (frames[2], actions[2])})
    np.testing.assert_array_equal(env.step([1] * N)[0][2], each[2])


def test_before_reset(env):
    mask = np.array([True, False, False])
    calls = (lambda: env.step([0] * N), env.render, env.get_state, lambda: env.fork(2))
    for call in (*calls, lambda: env.reset(options={"reset_mask": mask})):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
            call()


def test_after_close(env):
    obs, _ = env.reset(seed=0)
    env.close()
    env.close()
    calls = (env.reset, lambda: env.step([0] * N), env.render, lambda: env.observe(obs, [0] * N))
    for call in (*calls, env.get_state, lambda: env.set_state({}), lambda: env.fork(2)):
        with pytest.raises(ClosedEnvironmentError, match="make another"):
            call()


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([0, 3, 0], r"action .*3.* of environment 1 is not in Discrete\(3\)"),
        ([0, 0, -1], "environment 2"),
        ([0, 1], r"\(2,\), expected \(3,\)"),
        (1, r"\(\), expected \(3,\)"),
        (np.array([0.0, 1.0, 2.0]), "environment 0"),
        (np.array([0, 1, 2], np.uint64), "uint64"),
        ([[0], [1], [2]], r"\(3, 1\), expected \(3,\)"),
        ([[0], [1, 2], [2]], "environment 0"),
        (["left"] * 3, "environment 0"),
        (None, r"expected \(3,\)"),
    ],
)
def test_bad_actions_change_nothing(env, actions, words):
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(InvalidAction, match=words):
        env.step(actions)
    after = env.get_state()
    assert all((before[k] == after[k]).all() for k in before)


def test_bad_box_actions():
    env = TecoVectorEnv(2, make_nano("box"))
    env.reset(seed=0)
    for action in ([0.0, 2.0], [np.nan, 0.5]):
        with pytest.raises(InvalidAction, match="environment 1"):
            env.step(np.array([[0, 0], action], np.float32))
    with pytest.raises(InvalidAction, match="float64"):
        env.step(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("seed", "words"),
    [("seven", "'seven'"), ([1, 2], "list of 3"), (1.5, "1.5"), (-1, "-1"), ([1, "a", 2], "str")],
)
def test_bad_seeds_change_nothing(env, seed, words):
    env.reset(seed=0)
    before = env.np_random_seed, env.get_state()["key"]
    with pytest.raises(Error, match=words):
        env.reset(seed=seed)
    assert env.np_random_seed == before[0]
    np.testing.assert_array_equal(env.get_state()["key"], before[1])


FRAME = np.zeros((32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mask": 1}, "'mask'.*'start', 'context'"),
        ({"start": [0, 1]}, r"\[0, 1\].*an int or 3"),
        ({"start": [0, 1, 12]}, "0 to 11"),
        ({"context": (np.stack([[FRAME]] * 2), [[]] * 2)}, r"or one for each: \(3, C, ...\)"),
        ({"context": (np.stack([[FRAME] * 2] * 3), [0])}, r"\(1,\), expected \(3, 1\)"),
        ({"context": (np.stack([[FRAME] * 2] * 3), [[0], [0], [3]])}, "action 2 .* not in"),
        ({"reset_mask": [True, True, False]}, "numpy array of bool"),
        ({"reset_mask": np.array([1, 0, 1])}, r"int64 \(3,\)"),
        ({"reset_mask": np.array([True])}, r"bool \(1,\)"),
        ({"reset_mask": np.zeros(3, bool)}, "at least one True"),
        ({"unconditional": True}, "has not learned"),
    ],
)
def test_bad_options_change_nothing(env, options, words):
    env.reset(seed=4)
    before = env.get_state()
    generators = [g.bit_generator.state for g in env.np_random]
    with pytest.raises(InputError, match=words):
        env.reset(seed=9, options=options)
    assert [g.bit_generator.state for g in env.np_random] == generators
    after = env.get_state()
    assert all((before[k] == after[k]).all() for k in before)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"num_envs": 0}, "num_envs is 0"),
        ({"num_envs": 2.0}, "num_envs is 2.0"),
        ({"max_episode_steps": 0}, "max_episode_steps is 0"),
        ({"autoreset_mode": "sometimes"}, "'sometimes'.*'NextStep', 'SameStep', 'Disabled'"),
        ({"output": "jax"}, "'jax'.*'numpy', 'torch'"),
        ({"render_mode": "human"}, "'human'.*'rgb_array'"),
        ({"world": None}, "None.*world='maze'"),
        ({"backend": "jax"}, "'jax'.*'auto'"),
    ],
)
def test_bad_arguments(nano_world, kwargs, words):
    with pytest.raises(InputError, match=words):
        TecoVectorEnv(**{"num_envs": 2, "world": nano_world, **kwargs})
