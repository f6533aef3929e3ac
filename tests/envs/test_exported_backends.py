"""Environments on exported graphs, which take one number of rows and no other."""

import copy
import pickle

import numpy as np
import pytest
from test_teco_vector_rows import assert_row_0_is_exact

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.models.mixers.state import is_ring

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(params=["onnxruntime", "openvino"])
def backend(request):
    pytest.importorskip("onnxscript")
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(autouse=True)
def cache(monkeypatch, exported_nano):
    """A cache with the export, so that the other tests' stays empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(exported_nano))


def test_a_row_is_bit_exact_whatever_its_neighbours_do(nano_world, backend):
    assert_row_0_is_exact(nano_world, backend=backend)


def test_single(nano_world, backend):
    env = TecoEnv(nano_world, backend=backend, render_mode="rgb_array")
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    observed, _ = env.reset(seed=1, options={"context": (frames, [0, 1])})
    np.testing.assert_array_equal(observed, frames[-1])
    env.observe(frames[0], 2)
    now = env.get_state()
    future = [env.step(t % 3)[0] for t in range(4)]
    env.set_state(now)
    copies = [env, env.fork(1), copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for other in copies:
        again = [other.step([t % 3] if other is copies[1] else t % 3)[0] for t in range(4)]
        np.testing.assert_array_equal(np.reshape(again, (4, 32, 32, 3)), future)
    assert env.render().shape == (192, 192, 3)


def test_forks_and_wholes(nano_world, backend):
    env = TecoVectorEnv(2, nano_world, backend=backend, precision="fp32", max_episode_steps=3)
    env.reset(seed=0)
    futures = env.fork(3, fresh_noise=True)
    for _ in range(5):  # past the limit, where they begin anew
        obs, *_, info = futures.step([0, 1, 2] * 2)
    assert obs in futures.observation_space
    assert info["elapsed_steps"].tolist() == [1] * 6


def test_they_agree_with_torch(nano_world, backend):
    """From the same state: the same codes, almost all of them, and nearly the same memory."""
    torch = TecoEnv(nano_world, backend="torch", precision="fp32")
    env = TecoEnv(nano_world, backend=backend, precision="fp32")
    torch.reset(seed=5)
    equal = []
    for t in range(40):
        env.set_state(torch.get_state())
        torch.step(t % 3)
        env.step(t % 3)
        ours, theirs = env.get_state(), torch.get_state()
        equal.append((ours["codes"] == theirs["codes"]).mean())
        for name in filter(is_ring, theirs):
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-4)
    assert np.mean(equal) >= 0.999
