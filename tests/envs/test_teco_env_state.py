"""Snapshots and copies of an imagined environment."""

import copy
import pickle

import numpy as np
import pytest
from nano import make_nano

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.errors import InputError


def go_on(env, steps=15):
    return [
        (frame.tobytes(), reward, terminated, info["elapsed_steps"], info["surprise"])
        for frame, reward, terminated, _, info in (env.step(t % 3) for t in range(steps))
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_snapshot_replays_bit_identically(nano_world, precision):
    env = TecoEnv(nano_world, precision=precision, render_mode="rgb_array")
    env.reset(seed=3)
    go_on(env, 9)
    snapshot, picture = env.get_state(), env.render()
    kept = {k: v.copy() for k, v in snapshot.items()}
    future = go_on(env)
    env.set_state(snapshot)
    np.testing.assert_array_equal(env.render(), picture)
    assert go_on(env) == future

    other = TecoEnv(nano_world, precision=precision)
    other.set_state(snapshot)  # before any reset
    assert go_on(other) == future
    for name, array in env.get_state().items():
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(snapshot[name], kept[name], err_msg=name)
        assert array.dtype == kept[name].dtype


def test_a_snapshot_survives_npz(nano_env, tmp_path):
    bare = nano_env.unwrapped
    bare.reset(seed=3)
    np.savez(tmp_path / "state.npz", **bare.get_state())
    future = go_on(bare)
    bare.set_state(np.load(tmp_path / "state.npz"))
    assert go_on(bare) == future


def test_foreign_states_are_refused(nano_env):
    bare = nano_env.unwrapped
    bare.reset(seed=0)
    state = bare.get_state()
    with pytest.raises(InputError, match=r"differ .* \['codes'\]"):
        bare.set_state({k: v for k, v in state.items() if k != "codes"})
    with pytest.raises(InputError, match="'key' is int32"):
        bare.set_state({**state, "key": state["key"].astype(np.int32)})
    with pytest.raises(InputError, match=r"'keys_0' .* \(1, 2"):
        bare.set_state({**state, "keys_0": state["keys_0"][:, :1]})
    assert all((state[k] == v).all() for k, v in bare.get_state().items())


def test_pickle_and_deepcopy_go_on_alike(nano_env):
    nano_env.reset(seed=6)
    go_on(nano_env, 5)
    copies = [copy.deepcopy(nano_env), pickle.loads(pickle.dumps(nano_env))]
    future = go_on(nano_env)
    again = nano_env.reset()[0]
    for other in copies:
        assert go_on(other) == future
        np.testing.assert_array_equal(other.reset()[0], again)


def test_deepcopy_shares_weights():
    env = TecoEnv(make_nano())
    assert copy.deepcopy(env).world is env.world
