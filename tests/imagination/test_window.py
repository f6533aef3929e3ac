"""Past the window of absolute positions: stop, or read the last frames again."""

from dataclasses import replace

import pytest
import torch
from nano import make_nano
from test_step_equals_training import random_clips

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.rollout import replay
from worldmodel_env.imagination.step import Imagination, Sampling
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.window import frames_seen, make_room
from worldmodel_env.imagination.world import World
from worldmodel_env.models.mixers.state import is_ring
from worldmodel_env.models.teco import Teco

WINDOW, REFILL = 6, 4


def absolute(kind: str = "discrete", refill: int = REFILL) -> World:
    world = make_nano(kind, steps=0)
    teco = replace(
        world.config.teco, temporal=replace(world.config.teco.temporal, positions="absolute")
    )
    torch.manual_seed(0)
    fresh = Teco(teco)
    kept = {k: v for k, v in world.weights.items() if k != "teco.temporal.place"}
    assert kept.keys() == {f"teco.{k}" for k in fresh.state_dict()} | {
        k for k in world.weights if k.startswith("vqgan.")
    }
    config = replace(world.config, teco=teco, sampling=Sampling(steps=0, refill=refill))
    return replace(world, config=config, weights=kept)


def observe_all(model: Imagination, codes: torch.Tensor, actions: torch.Tensor) -> dict:
    state = model.begin(codes[:, 0])
    for t in range(1, codes.shape[1]):
        state = model.observe_codes(make_room(model, state), codes[:, t], actions[:, t - 1])
    return state


@torch.no_grad()
def test_without_refill_the_rollout_stops_at_the_window_and_says_why() -> None:
    model = absolute(refill=0).imagination()
    clips = random_clips("discrete", 2, WINDOW + 2)
    state = observe_all(model, clips.codes[:, :WINDOW], clips.actions)
    assert {name for name in state if not is_ring(name)} == {"index", "latent", "codes"}
    with pytest.raises(InputError, match=r"window of 6 frames.*sampling\.refill"):
        observe_all(model, clips.codes, clips.actions)
    with pytest.raises(InputError, match="window of 6 frames"):
        replay(model, clips.codes[:, :2], clips.actions, WINDOW, key=0)


@pytest.mark.parametrize("kind", ["discrete", "multi", "box"])
@torch.no_grad()
def test_a_full_window_is_begun_again_with_the_last_frames(kind: str) -> None:
    model = absolute(kind).imagination()
    clips = random_clips(kind, 2, WINDOW + 1)
    full = observe_all(model, clips.codes, clips.actions)
    last = slice(WINDOW - REFILL, WINDOW)
    fresh = observe_all(model, clips.codes[:, last], clips.actions[:, last])
    fresh = model.observe_codes(fresh, clips.codes[:, WINDOW], clips.actions[:, WINDOW - 1])
    for name in [*filter(is_ring, full), "index", "latent", "codes"]:
        torch.testing.assert_close(full[name], fresh[name], msg=name)
    assert frames_seen(full).tolist() == [WINDOW + 1] * 2
    assert torch.equal(full["history"], clips.codes[:, -REFILL:])


@torch.no_grad()
def test_rows_refill_when_they_are_full_whatever_their_neighbours() -> None:
    model = absolute().imagination()
    clips = random_clips("discrete", 2, 12)
    ahead = observe_all(model, clips.codes[:, :WINDOW], clips.actions)  # full
    behind = observe_all(model, clips.codes[:, :2], clips.actions)
    mixed = {k: torch.stack([ahead[k][0], behind[k][1]]) for k in ahead}
    roomy = make_room(model, mixed)
    expected = make_room(model, ahead)
    for name in roomy:
        assert torch.equal(roomy[name][0], expected[name][0]), name
        assert torch.equal(roomy[name][1], behind[name][1]), name


def test_a_long_rollout_goes_on_at_bounded_size() -> None:
    backend = TorchBackend(absolute(), precision="fp32")
    state = backend.begin(torch.zeros(1, 8, 8, dtype=torch.int64).numpy())
    shapes = {k: v.shape for k, v in state.items()}
    key = torch.tensor([3])
    for _ in range(4 * WINDOW):
        state, _ = backend.step(state, torch.zeros(1, dtype=torch.int64).numpy(), key)
        assert int(state["index"]) <= WINDOW
    assert {k: v.shape for k, v in state.items()} == shapes
    assert int(frames_seen(state)) == 4 * WINDOW + 1


def test_refill_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"refill is 6.*less than the window of 6"):
        absolute(refill=WINDOW).imagination()
    with pytest.raises(InputError, match="refill is 2"):
        make_nano().imagination(Sampling(refill=2))
