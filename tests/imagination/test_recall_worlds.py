"""Worlds that recall frames by place: the same in every form of the step."""

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
from worldmodel_env.imagination.step import Imagination, State
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.begin_with import take_weights
from worldmodel_env.training.encoded import continued, encode

LEFT, RIGHT, FORWARD = range(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_nano(recall=20).save(tmp_path_factory.mktemp("recall") / "nano")


def clips_with_walls(seed: int = 0) -> Clips:
    """Random ones; where frame 7 is frame 6 once more, a wall stopped the walker."""
    clips = random_clips("discrete", 2, LENGTH)
    generator = torch.Generator().manual_seed(seed)
    clips.codes.random_(0, 64, generator=generator)
    clips.codes[:, 7] = clips.codes[:, 6]
    clips.actions[:, 6] = FORWARD
    return clips


def observed(model: Imagination, clips: Clips, state: State) -> tuple[torch.Tensor, State]:
    """What is recalled of each frame (B, T-1, ...), one by one, and the last state."""
    recalled = []
    for t in range(clips.actions.shape[1]):
        recalled.append(model.teco.look_up(state, clips.actions[:, t]))
        state = model.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])
    return torch.stack(recalled, 1), state


@pytest.mark.parametrize("recall", [2 * LENGTH, 6])
@torch.no_grad()
def test_one_by_one_as_in_parallel(recall):
    """Whole clips, and clips that go on where others ended; the ring may have wrapped."""
    model = make_nano(recall=recall).imagination()
    clips, later = clips_with_walls(), clips_with_walls(1)
    later.codes[:, 0] = clips.codes[:, -1]
    whole = encode(model.teco, clips).recalled.unflatten(0, (2, -1))
    assert whole.abs().mean() > 0.01
    found, state = observed(model, clips, model.begin(clips.codes[:, 0]))
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=0)
    carried = encode(model.teco, clips, carried=continued(model.teco, clips))
    torch.testing.assert_close(carried.recalled.unflatten(0, (2, -1)), whole, atol=1e-4, rtol=0)
    found, last = observed(model, later, state)
    after = encode(model.teco, later, carried=carried.state)
    torch.testing.assert_close(after.recalled.unflatten(0, (2, -1)), found, atol=1e-4, rtol=0)
    for name, tensor in last.items():
        torch.testing.assert_close(after.state[name], tensor, atol=1e-4, rtol=0)


@torch.no_grad()
def test_after_a_circle_the_first_frame_is_recalled():
    model = make_nano(recall=20).imagination()
    clips = random_clips("discrete", 1, 17)
    clips.actions[:] = RIGHT
    found, state = observed(model, clips, model.begin(clips.codes[:, 0]))
    vectors, sure = found[0, -1].view(6, -1, 8, 8)[0].split([8, 1])
    # Its neighbours have a little weight as well.
    torch.testing.assert_close(vectors, model.teco.vectors(clips.codes[:, 0])[0], atol=0.2, rtol=0)
    assert sure.min() > 0.95
    assert state["pose"].tolist() == [[0, 0, 0]]


@torch.no_grad()
def test_a_wall_is_noticed():
    model = make_nano(recall=20).imagination()
    model.teco.recall.odometer.layers[-1].weight.zero_()
    codes = random_clips("discrete", 1, 3).codes
    action = torch.tensor([FORWARD])
    state = model.observe_codes(model.begin(codes[:, 0]), codes[:, 1], action)
    assert state["pose"].tolist() == [[1, 0, 0]]
    still = model.observe_codes(state, codes[:, 1], action)
    assert still["pose"].tolist() == [[1, 0, 0]]


@torch.no_grad()
def test_actions_that_are_hidden_lead_nowhere():
    teco = make_nano(recall=20).imagination().teco
    clips = random_clips("discrete", 2, 9)
    hidden = encode(teco, clips, torch.tensor([True, False])).recalled.unflatten(0, (2, -1))
    shown = encode(teco, clips).recalled.unflatten(0, (2, -1))
    absent = encode(teco, replace(clips, actions=None)).recalled.unflatten(0, (2, -1))
    assert torch.equal(hidden[0], shown[0])
    assert torch.equal(hidden[1], absent[1])
    assert not torch.allclose(hidden[1], shown[1], atol=1e-3)


def test_what_is_recalled_is_imagined_from():
    """The same state but for what it remembers: another frame."""
    model = make_nano(recall=20, steps=0).imagination()
    codes = random_clips("discrete", 1, 2).codes
    state = model.begin(codes[:, 0])
    other = {**state, "views": state["views"].flip(-1)}
    action, noise = torch.tensor([LEFT]), torch.full((1, *model.noise_shape), 0.5)
    one, two = (model.imagine(s, action, noise)[1].logits for s in (state, other))
    assert (one - two).abs().max() > 1e-3


def test_forks_and_snapshots_hold_the_memory(folder):
    env = make(folder)
    env.reset(seed=0)
    walk(env, 9)
    state = env.unwrapped.get_state()
    assert state["places"].any()
    assert (state["places"].dtype, state["views"].dtype) == (np.float32, np.int64)
    copies = env.unwrapped.fork(2).get_state()
    for name in ("pose", "places", "views"):
        assert np.array_equal(copies[name], np.repeat(state[name], 2, 0))
    after = walk(env, 5)
    env.unwrapped.set_state(state)
    for one, other in zip(walk(env, 5), after, strict=True):
        assert np.array_equal(one, other)
    without = {name: array for name, array in state.items() if name != "places"}
    with pytest.raises(InputError, match=r"differ from this world's in \['places'\]"):
        env.unwrapped.set_state(without)


def test_in_bfloat16_poses_stay_float32(folder):
    world = World.load(folder)
    backend = TorchBackend(world, precision="bf16")
    state = backend.begin(world.starts[:2])
    for t in range(3):
        state, _ = backend.step(state, np.array([t, 2 - t]), torch.arange(2))
    assert (state["keys_0"].dtype, state["places"].dtype) == (torch.bfloat16, torch.float32)


def test_a_memory_that_cannot_be_is_refused():
    config = make_nano(recall=20).config.teco
    with pytest.raises(InputError, match=r"motion is of 3 actions, .* three numbers for each"):
        replace(config, actions=ActionConfig("discrete", choices=(4,)))
    with pytest.raises(InputError, match=r"recall is 20, but local_skip, .* is off"):
        replace(config, local_skip=False)
    with pytest.raises(ValueError, match="recall needs motion"):
        Teco(replace(config, motion=None))
    assert config.motion == MOTION


@torch.no_grad()
def test_a_world_that_is_given_the_memory_goes_on_as_it_was():
    """It adds nothing until it is trained; what has learned is kept."""
    world, recalling = make_nano(steps=0), make_nano(steps=0, recall=20)
    old, fresh = world.imagination(), Teco(recalling.config.teco).eval()
    model = Imagination(old.vqgan, fresh, old.sampling)
    assert take_weights(world, fresh) == []
    clips = random_clips("discrete", 2, 9)
    one, two = (observed_state(m, clips) for m in (old, model))
    noise = torch.full((2, *model.noise_shape), 0.5)
    action = torch.tensor([LEFT, FORWARD])
    plain = old.imagine(one, action, noise)[1].logits
    torch.testing.assert_close(model.imagine(two, action, noise)[1].logits, plain)
    take_weights(recalling, fresh)
    assert fresh.skip.recalled.weight.any()
    assert not torch.allclose(model.imagine(two, action, noise)[1].logits, plain, atol=1e-3)


def observed_state(model: Imagination, clips: Clips) -> State:
    """After all frames."""
    state = model.begin(clips.codes[:, 0])
    for t in range(clips.actions.shape[1]):
        state = model.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])
    return state
