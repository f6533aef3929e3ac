"""z is drawn for a share of the frames; each of them is what always or never drawing gives."""

from dataclasses import replace

import numpy as np
import torch
from nano import make_nano
from test_step_equals_training import random_clips

from worldmodel_env.imagination.step import Imagination, Sampling
from worldmodel_env.imagination.torch_backend import TorchBackend

ROWS = 64


def drawing(share: float, steps: int = 2) -> Imagination:
    return make_nano().imagination(Sampling(steps=steps, share=share))


@torch.no_grad()
def test_each_frame_is_drawn_or_not_as_its_own_number_says() -> None:
    some, always, never = drawing(0.25), drawing(1.0), drawing(1.0, steps=0)
    codes = random_clips("discrete", 1, 2).codes[:, 0].expand(ROWS, -1, -1)
    action = torch.ones(ROWS, dtype=torch.int64)
    assert some.noise_shape == (3, *always.noise_shape[1:])
    noise = torch.rand(ROWS, *some.noise_shape)
    noise[:, -1] = torch.linspace(0.001, 0.999, ROWS)[:, None, None]

    state = some.begin(codes)
    found, _ = some.step(state, action, noise)
    drawn, _ = always.step(state, action, noise[:, :-1])
    plain, _ = never.step(state, action, noise[:, :1])
    few = ROWS // 4
    assert not torch.equal(drawn["codes"][:few], plain["codes"][:few])
    torch.testing.assert_close(found["codes"][:few], drawn["codes"][:few])
    torch.testing.assert_close(found["codes"][few:], plain["codes"][few:])


def test_a_first_frame_is_always_drawn() -> None:
    sampling = Sampling(steps=2, share=0.01)
    world = make_nano(first_frame=True)
    backend = TorchBackend(world, precision="fp32", sampling=sampling)
    always = TorchBackend(world, precision="fp32", sampling=replace(sampling, share=1.0))
    keys = torch.arange(8)
    codes = backend.first(keys)
    assert np.array_equal(codes, always.first(keys))
    assert len(np.unique(codes.reshape(8, -1), axis=0)) > 1
