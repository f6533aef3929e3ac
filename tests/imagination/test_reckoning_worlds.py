"""Worlds that reckon: poses come from actions alone, in every form of the step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nano import MOTION, make_nano
from test_memory_worlds import LENGTH, make, walk
from test_step_equals_training import random_clips

from worldmodel_env.data.clips import Clips
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.begin_with import take_weights
from worldmodel_env.training.encoded import continued, encode

FORWARD = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_nano(reckons=True).save(tmp_path_factory.mktemp("reckoning") / "nano")


def clips_with_walls() -> Clips:
    """Random ones; where frame 7 follows the same frame, a wall stopped the walker."""
    clips = random_clips("discrete", 2, LENGTH)
    clips.codes[:, 7] = clips.codes[:, 6]
    clips.actions[:, 6] = FORWARD
    return clips


@pytest.mark.parametrize("fields", [{}, {"sink": 2}, {"memory": "gated_delta"}], ids=str)
@torch.no_grad()
def test_observing_a_clip_equals_encoding_it(fields):
    model = make_nano(reckons=True, **fields).imagination()
    clips = clips_with_walls()
    h = encode(model.teco, clips).h.unflatten(0, (2, LENGTH - 1))
    state = model.begin(clips.codes[:, 0])
    for t in range(LENGTH - 1):
        _, features, _ = model._advance(state, clips.actions[:, t])
        torch.testing.assert_close(features, h[:, t], atol=1e-4, rtol=0)
        state = model.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])
    carried = encode(model.teco, clips, carried=continued(model.teco, clips))
    torch.testing.assert_close(carried.h.unflatten(0, (2, -1)), h, atol=1e-4, rtol=0)
    for name, tensor in state.items():
        torch.testing.assert_close(carried.state[name], tensor, atol=1e-4, rtol=0)


@torch.no_grad()
def test_poses_matter_and_a_wall_is_noticed():
    model = make_nano(reckons=True).imagination()
    clips = random_clips("discrete", 1, 9)
    clips.actions[:] = FORWARD
    state, away = (model.begin(clips.codes[:, 0]) for _ in range(2))
    for t in range(4):
        state = model.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])
        away = model.observe_codes(away, clips.codes[:, t + 1], clips.actions[:, t])
        away["pose"] = away["pose"] + torch.tensor([3.0, 0, 0.25])
    assert state["pose"].tolist() == [[4, 0, 0]]
    action = clips.actions[:, 0]
    one, other = (model._advance(s, action)[1] for s in (state, away))
    assert (one - other).abs().max() > 1e-3
    still = model.observe_codes(state, state["codes"], action)
    assert still["pose"].tolist() == [[4, 0, 0]]


def test_forks_and_snapshots_hold_the_path(folder):
    env = make(folder)
    env.reset(seed=0)
    walk(env, 9)
    state = env.unwrapped.get_state()
    assert state["poses"].any()
    copies = env.unwrapped.fork(2).get_state()
    for name in ("pose", "poses"):
        assert state[name].dtype == np.float32
        assert np.array_equal(copies[name], np.repeat(state[name], 2, 0))
    after = walk(env, 5)
    env.unwrapped.set_state(state)
    for one, other in zip(walk(env, 5), after, strict=True):
        assert np.array_equal(one, other)
    without = {name: array for name, array in state.items() if name != "poses"}
    with pytest.raises(InputError, match=r"differ from this world's in \['poses'\]"):
        env.unwrapped.set_state(without)


def test_in_bfloat16_poses_stay_float32(folder):
    world = World.load(folder)
    backend = TorchBackend(world, precision="bf16")
    state = backend.begin(world.starts[:2])
    for t in range(3):
        state, _ = backend.step(state, np.array([t, 2 - t]), torch.arange(2))
    dtypes = (state["keys_0"].dtype, state["poses"].dtype, state["pose"].dtype)
    assert dtypes == (torch.bfloat16, torch.float32, torch.float32)


def test_motion_of_other_actions_is_refused():
    config = make_nano(reckons=True).config.teco
    with pytest.raises(InputError, match=r"motion is of 3 actions, .* three numbers for each"):
        replace(config, actions=ActionConfig("discrete", choices=(4,)))
    with pytest.raises(InputError, match="poses are kept beside the frames of a window"):
        replace(config, temporal=replace(config.temporal, positions="absolute"))
    with pytest.raises(ValueError, match=r"TecoConfig\.motion is None; set it"):
        Teco(replace(config, motion=None))
    assert config.motion == MOTION


@torch.no_grad()
def test_a_world_that_is_given_a_path_goes_on_as_it_was():
    """Poses and whole frames say nothing until they are trained; what has learned is kept."""
    world, reckoning = make_nano(), make_nano(reckons=True)
    model = Teco(reckoning.config.teco).eval()
    assert take_weights(world, model) == []
    clips = random_clips("discrete", 2, 9)
    plain = encode(world.imagination().teco, clips).h
    torch.testing.assert_close(encode(model, clips).h, plain, atol=1e-5, rtol=0)
    take_weights(reckoning, model)
    learned = encode(reckoning.imagination().teco, clips).h
    assert torch.equal(encode(model, clips).h, learned)
    assert not torch.allclose(learned, plain, atol=1e-3)
