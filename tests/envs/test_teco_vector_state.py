"""Snapshots, forks and real frames of vector environments, and forks of single ones."""

import numpy as np
import pytest
from nano import make_nano

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.errors import InputError

N = 3


def vector(rows=N, precision="fp32", **kwargs):
    return TecoVectorEnv(rows, make_nano(), precision=precision, **kwargs)


def go_on(env, steps=8, first=0):
    """Everything that some steps return, as bytes; all rows act alike."""
    told = []
    for t in range(steps):
        obs, reward, terminated, truncated, info = env.step([(first + t) % 3] * env.num_envs)
        told.append((obs.tobytes(), reward.tobytes(), terminated.tobytes(), truncated.tobytes(),
                     info["elapsed_steps"].tobytes(), info["surprise"].tobytes()))  # fmt: skip
    return told


def row(state, i):
    return {name: array[i : i + 1] for name, array in state.items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_snapshot_replays_bit_identically(precision):
    env = vector(precision=precision)
    env.reset(seed=3)
    go_on(env)
    snapshot = env.get_state()
    kept = {name: array.copy() for name, array in snapshot.items()}
    future = go_on(env)
    env.set_state(snapshot)
    assert go_on(env) == future
    other = vector(precision=precision)
    other.set_state(snapshot)  # before any reset
    assert go_on(other) == future
    for name, array in kept.items():
        np.testing.assert_array_equal(snapshot[name], array, err_msg=name)
        assert array.shape[0] == N


def test_a_snapshot_knows_which_episodes_have_ended(toy_world):
    """The step after the end begins anew, also after a detour through a snapshot."""
    env = TecoVectorEnv(N, toy_world, max_episode_steps=3)
    env.reset(seed=0)
    env.step([0] * N)
    env.step([0] * N)
    env.step([0] * N)
    snapshot = env.get_state()
    assert snapshot["ended"].all()
    env.set_state(snapshot)
    assert env.step([0] * N)[4]["elapsed_steps"].tolist() == [0] * N


def test_a_single_environments_state_is_a_row(toy_world):
    single, env = TecoEnv(toy_world), TecoVectorEnv(N, toy_world)
    single.reset(seed=1)
    single.step(2)
    state = single.get_state()
    env.set_state(state)
    for name, array in env.get_state().items():
        np.testing.assert_array_equal(array, np.repeat(state[name], N, 0), err_msg=name)
    imagined = env.step([1] * N)[0]
    np.testing.assert_array_equal(imagined, [single.step(1)[0]] * N)
    single.set_state(row(env.get_state(), 2))
    np.testing.assert_array_equal(single.step(0)[0], env.step([0] * N)[0][2])


def test_a_planner_brings_its_futures_back_with_other_noise(toy_world):
    single = TecoEnv(toy_world)
    single.reset(seed=1)
    state = single.get_state()
    futures = single.fork(4)
    for keys in (np.arange(4), np.full(4, 9)):
        futures.set_state({**state, "key": keys})
        obs, *_ = futures.step([1] * 4)
        assert len(np.unique(obs, axis=0)) == len(set(keys.tolist()))


def test_size_is_bounded():
    env = vector()
    env.reset(seed=0)
    first = {name: array.nbytes for name, array in env.get_state().items()}
    go_on(env, 40)
    assert {name: array.nbytes for name, array in env.get_state().items()} == first


def test_a_fork_with_the_same_noise_replays_bit_identically():
    env = vector()
    env.reset(seed=5)
    go_on(env)
    twins = env.fork(1)
    future = go_on(env)
    assert go_on(twins) == future

    single = TecoEnv(make_nano(), precision="fp32")
    single.reset(seed=5)
    single.step(2)
    twin = single.fork(1)
    for t in range(8):
        frame, reward, ended, _, info = single.step(t % 3)
        obs, rewards, terminated, _, infos = twin.step([t % 3])
        np.testing.assert_array_equal(obs[0], frame)
        assert (rewards[0], terminated[0]) == (reward, ended)
        assert infos["elapsed_steps"][0] == info["elapsed_steps"]


def test_rows_of_a_fork_are_equal_until_their_actions_differ():
    env = vector(2)
    env.reset(seed=5)
    now = env.get_state()
    futures = env.fork(3)
    assert isinstance(futures, TecoVectorEnv)
    assert futures.num_envs == 6
    for i in range(6):  # copies of one row lie side by side
        for name in now:
            np.testing.assert_array_equal(futures.get_state()[name][i], now[name][i // 3])
    for t in range(5):
        obs, *_ = futures.step([t % 3] * 6)
        assert len({frame.tobytes() for frame in obs[:3]}) == 1
        assert (obs[0] != obs[3]).any()
    obs, *_ = futures.step([0, 1, 2, 0, 1, 2])
    assert len({frame.tobytes() for frame in obs}) == 6


def test_fresh_noise_makes_futures_diverge_repeatably():
    def futures():
        env = TecoEnv(make_nano(steps=4), precision="fp32")
        env.reset(seed=8)
        env.step(1)
        forks = [env.fork(5, fresh_noise=True) for _ in range(2)]
        generator = env.np_random.bit_generator.state
        seen = [np.stack([fork.step([1] * 5)[0] for _ in range(4)]) for fork in forks]
        assert env.np_random.bit_generator.state == generator
        return seen

    first, second = futures()
    assert len({frames.tobytes() for frames in first.swapaxes(0, 1)}) == 5
    assert (first != second).any(), "another fork, other noise"
    np.testing.assert_array_equal(futures(), [first, second])


def test_forking_leaves_the_parent_alone():
    plain, forked = vector(), vector()
    told = []
    for env in (plain, forked):
        env.reset(seed=2)
        if env is forked:
            go_on(env.fork(4, fresh_noise=True))
        told.append((go_on(env), env.reset()[0].tobytes()))
    assert told[0] == told[1]


def test_a_fork_keeps_its_parents_ways():
    env = TecoVectorEnv(  # a world that hardly ever ends an episode by itself
        2, make_nano(), max_episode_steps=4, autoreset_mode="SameStep", output="torch"
    )
    env.reset(seed=0)
    env.step([0, 0])
    fork = env.fork(2)
    assert fork.output == "torch"
    assert fork.autoreset_mode is env.autoreset_mode
    for _ in range(2):
        fork.step([0] * 4)
    assert fork.step([0] * 4)[3].all()


def test_adopted_rows_go_on_as_the_others_would_have():
    env = vector()
    env.reset(seed=1)
    other = env.fork(1)
    other.reset(seed=7)
    go_on(other, 3)
    rows, before, theirs = np.array([True, False, True]), env.get_state(), other.get_state()
    obs = env.adopt(other, rows)
    now = env.get_state()
    for name in now:
        np.testing.assert_array_equal(now[name][rows], theirs[name][rows], err_msg=name)
        np.testing.assert_array_equal(now[name][~rows], before[name][~rows], err_msg=name)
    np.testing.assert_array_equal(obs, now["frame"])
    obs, other_obs = env.step([0, 1, 2])[0], other.step([0, 1, 2])[0]
    np.testing.assert_array_equal(obs[rows], other_obs[rows])
    assert (obs[1] != other_obs[1]).any()


def test_bad_adoptions():
    env = vector()
    env.reset(seed=1)
    everyone = np.ones(N, bool)
    for other in (env.fork(2), vector()):
        with pytest.raises(InputError, match="give a fork with n=1"):
            env.adopt(other, everyone)
    with pytest.raises(InputError, match="reset_mask"):
        env.adopt(env.fork(1), [True] * N)


@pytest.mark.parametrize("n", [0, -1, 2.0, None, True])
def test_bad_forks(n):
    env = TecoEnv(make_nano())
    env.reset(seed=0)
    with pytest.raises(InputError, match=f"n is {n!r}"):
        env.fork(n)


def test_observing_equals_beginning_with_a_context():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (N, 5, 32, 32, 3), dtype=np.uint8)
    actions = rng.integers(0, 3, (N, 4))
    env = vector()
    env.reset(seed=2, options={"context": (frames, actions)})
    given = env.step([2] * N)
    env.reset(seed=2, options={"context": (frames[:, :1], actions[:, :0])})
    for t in range(4):
        env.observe(frames[:, t + 1], actions[:, t])
        np.testing.assert_array_equal(env.get_state()["frame"], frames[:, t + 1])
    observed = env.step([2] * N)
    for a, b in zip(given[:3], observed[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    assert observed[4]["elapsed_steps"].tolist() == [5] * N


def test_bad_observations():
    env = vector()
    obs, _ = env.reset(seed=0)
    with pytest.raises(InputError, match=r"\(32, 32, 3\), expected uint8 \(3, 32, 32, 3\)"):
        env.observe(obs[0], [0] * N)
    with pytest.raises(InputError, match="float64"):
        env.observe(obs / 255.0, [0] * N)


def test_foreign_states_are_refused():
    env = vector()
    env.reset(seed=0)
    state = env.get_state()
    cases = [
        ("'keys_0' is float32 \\(2, ", {"keys_0": state["keys_0"][:2]}),
        ("'values_0' holds values that are not finite", {"values_0": state["values_0"] * np.nan}),
        ("'codes' has values from 64 to 64, expected 0 to 63", {"codes": state["codes"] * 0 + 64}),
        ("'start' has values from 12 to 12, expected -1 to 11", {"start": state["start"] * 0 + 12}),
        ("'key' has values from -1", {"key": state["key"] * 0 - 1}),
        ("'index' has values from 0", {"index": state["index"] * 0}),
    ]
    for words, change in cases:
        with pytest.raises(InputError, match=words):
            env.set_state({**state, **change})
    after = env.get_state()
    assert all((after[name] == state[name]).all() for name in state)
