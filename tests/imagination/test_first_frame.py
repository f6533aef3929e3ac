"""Frame 0 out of nothing: what training predicts for it is what imagination draws it from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from nano import make_nano
from test_step_equals_training import random_clips

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Imagination, Sampling
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.models.teco import NO_FRAME, Teco
from worldmodel_env.training.encoded import encode
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.teco_loss import teco_losses


def model(steps: int = 2, *, first_frame: bool = True) -> Imagination:
    world = make_nano(steps=steps)
    config = replace(world.config.teco, first_frame=first_frame)
    teco = Teco(config).requires_grad_(False)
    teco.load_state_dict(world.imagination().teco.state_dict())
    return Imagination(world.imagination().vqgan, teco, Sampling(steps=steps))


@torch.no_grad()
def test_training_predicts_one_more_frame_and_the_others_as_before() -> None:
    clips = random_clips("discrete", 2, 9)
    with_first, without = (encode(model(first_frame=f).teco, clips) for f in (True, False))
    h = with_first.h.unflatten(0, (2, 9))
    torch.testing.assert_close(h[:, 1:].flatten(0, 1), without.h, atol=1e-6, rtol=0)
    assert torch.equal(
        with_first.previous.unflatten(0, (2, 9))[:, 1:].flatten(0, 1), without.previous
    )
    assert (with_first.previous.unflatten(0, (2, 9))[:, 0] == NO_FRAME).all()
    assert torch.equal(with_first.target.unflatten(0, (2, 9)), clips.codes)
    assert torch.equal(h[0, 0], h[1, 0])  # nothing is known before it


@torch.no_grad()
def test_the_first_frame_is_decoded_from_what_training_decodes_it_from() -> None:
    imagination = model(steps=0)
    clips = random_clips("discrete", 1, 5)
    whole = encode(imagination.teco, clips)
    first = torch.tensor([0])
    local, skip = imagination.teco.predict(whole.h[first], *whole.local(first))
    noise = torch.rand(1, *imagination.first_noise_shape)
    z, _ = imagination._draw(local, noise, imagination._first_sampling)
    expected = imagination.teco.decode(local, z, skip).argmax(-1)
    assert torch.equal(imagination.first(noise), expected)


@torch.no_grad()
def test_different_noise_gives_different_beginnings_and_goes_on() -> None:
    torch.manual_seed(0)
    imagination = model(steps=3)
    noise = torch.rand(4, *imagination.first_noise_shape)
    codes = imagination.first(noise)
    assert codes.shape == (4, 8, 8)
    assert len(torch.unique(codes.flatten(1), dim=0)) > 1
    assert torch.equal(imagination.first(noise), codes)
    state = imagination.begin(codes)
    action = torch.zeros(4, dtype=torch.int64)
    _, imagined = imagination.step(state, action, torch.rand(4, *imagination.noise_shape))
    assert imagined.frame.shape == (4, 32, 32, 3)


def test_the_backend_draws_it_from_the_key() -> None:
    world = make_nano()
    config = replace(world.config, teco=replace(world.config.teco, first_frame=True))
    backend = TorchBackend(replace(world, config=config), precision="fp32")
    key = torch.tensor([5, 6, 5])
    codes = backend.first(key)
    assert np.array_equal(codes[0], codes[2])
    assert not np.array_equal(codes[0], codes[1])


def test_a_world_that_has_not_learned_it_says_so() -> None:
    with pytest.raises(InputError, match="cannot imagine a first frame"):
        TorchBackend(make_nano(), precision="fp32").first(torch.tensor([0]))


def test_it_is_trained_and_no_reward_belongs_to_it() -> None:
    imagination = model()
    teco = imagination.teco.requires_grad_(True)
    clips = random_clips("discrete", 2, 9)
    every = LossConfig(drop_loss=0.0)
    losses, encoded = teco_losses(teco, clips, every, torch.Generator().manual_seed(0))
    assert len(encoded.target) == 2 * 9
    losses["loss"].backward()
    assert float(teco.temporal.place.grad.abs().sum()) > 0
    plain = model(first_frame=False).teco
    others, _ = teco_losses(plain, clips, every, torch.Generator().manual_seed(0))
    torch.testing.assert_close(losses["reward"].detach(), others["reward"], atol=1e-5, rtol=0)
