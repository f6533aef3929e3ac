"""Worlds whose model has a memory: the step, environments and exports are those of other worlds."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from nano import make_nano
from test_step_equals_training import random_clips

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.training.encoded import encode

MEMORIES = ("gated_delta", "mamba2", "ttt_linear", "ttt_mlp")
LENGTH = 19
"""Frames: three times the window of `nano`."""


@pytest.mark.parametrize("fields", [{"sink": 2}, *({"memory": m} for m in MEMORIES)], ids=str)
@torch.no_grad()
def test_observing_a_clip_equals_encoding_it(fields):
    model = make_nano(**fields).imagination()
    clips = random_clips("discrete", 2, LENGTH)
    h = encode(model.teco, clips).h.unflatten(0, (2, LENGTH - 1))
    state = model.begin(clips.codes[:, 0])
    assert ("memory" in state) == ("memory" in fields)
    for t in range(LENGTH - 1):
        _, features, _ = model._advance(state, clips.actions[:, t])
        torch.testing.assert_close(features, h[:, t], atol=1e-4, rtol=0)
        state = model.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])


@pytest.fixture(scope="module", params=MEMORIES)
def folder(request, tmp_path_factory) -> Path:
    return make_nano(memory=request.param).save(tmp_path_factory.mktemp("memory") / "nano")


def make(folder: Path, count: int = 3) -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec(
        "worldmodel_env:TecoMaze-v0", num_envs=count, world=str(folder), backend="torch",
        precision="fp32",
    )  # fmt: skip


def walk(env: gymnasium.vector.VectorEnv, steps: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [env.step(rng.integers(0, 3, env.num_envs))[0] for _ in range(steps)]


def test_snapshots_hold_the_memory(folder):
    env = make(folder)
    env.reset(seed=0)
    walk(env, 9)
    state = env.unwrapped.get_state()
    assert state["memory"].dtype == np.float32
    assert state["memory"].any()
    after = walk(env, 5)
    env.unwrapped.set_state(state)
    for one, other in zip(walk(env, 5), after, strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(InputError, match=r"'memory' is float16 .*, expected float32"):
        env.unwrapped.set_state({**state, "memory": state["memory"].astype(np.float16)})
    without = {name: array for name, array in state.items() if name != "memory"}
    with pytest.raises(InputError, match=r"differ from this world's in \['memory'\]"):
        env.unwrapped.set_state(without)
    cut = {**state, "memory": state["memory"][:, :, :, 1:]}
    with pytest.raises(InputError, match=r"'memory' is float32 .*, expected float32"):
        env.unwrapped.set_state(cut)


def test_forks_and_resets(folder):
    env = make(folder, 2)
    first, _ = env.reset(seed=3)
    walk(env, 9)
    copies = env.unwrapped.fork(2)
    state, forked = env.unwrapped.get_state()["memory"], copies.get_state()["memory"]
    assert np.array_equal(forked, np.repeat(state, 2, 0))
    again, _ = env.reset(seed=3)
    assert np.array_equal(first, again)
    fresh = env.unwrapped.get_state()["memory"]
    assert not np.array_equal(fresh, state)


def test_in_bfloat16_the_memory_stays_float32(folder):
    world = World.load(folder)
    backend = TorchBackend(world, precision="bf16")
    state = backend.begin(world.starts[:2])
    for t in range(3):
        state, _ = backend.step(state, np.array([t, 2 - t]), torch.arange(2))
    assert (state["keys_0"].dtype, state["memory"].dtype) == (torch.bfloat16, torch.float32)
    assert state["memory"].isfinite().all()
