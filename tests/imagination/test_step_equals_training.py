"""The recurrent step computes what training computed on whole clips."""

from dataclasses import replace

import pytest
import torch
from nano import SPACES, make_nano

from worldmodel_env.data.clips import Clips
from worldmodel_env.training.encoded import encode

WINDOW = 6


def random_clips(kind: str, batch: int, length: int) -> Clips:
    generator = torch.Generator().manual_seed(0)
    space = SPACES[kind]
    space.seed(0)
    actions = torch.stack(
        [
            torch.stack([torch.as_tensor(space.sample()) for _ in range(length - 1)])
            for _ in range(batch)
        ]
    )
    return Clips(
        codes=torch.randint(64, (batch, length, 8, 8), generator=generator),
        actions=actions,
        rewards=torch.zeros(batch, length - 1),
        terminations=torch.zeros(batch, length - 1, dtype=torch.bool),
        valid=torch.ones(batch, length, dtype=torch.bool),
    )


@pytest.mark.parametrize("kind", SPACES)
@torch.no_grad()
def test_observing_a_clip_equals_encoding_it(kind):
    """h and z of every frame, far past the attention window, whose start token has long left it."""
    world = make_nano(kind)
    assert world.config.teco.temporal.window == WINDOW
    model = world.imagination()
    batch, length = 2, 4 * WINDOW + 1
    clips = random_clips(kind, batch, length)
    whole = encode(model.teco, clips)
    h = whole.h.unflatten(0, (batch, length - 1))
    z = whole.z.unflatten(0, (batch, length - 1))

    state = model.begin(clips.codes[:, 0])
    for t in range(length - 1):
        _, features, vector = model._advance(state, clips.actions[:, t])
        torch.testing.assert_close(features, h[:, t], atol=1e-4, rtol=0)
        torch.testing.assert_close(vector, whole.action.unflatten(0, (batch, -1))[:, t])
        state = model.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])
        torch.testing.assert_close(state["latent"], z[:, t], atol=1e-4, rtol=0)
        assert torch.equal(state["codes"], clips.codes[:, t + 1])
    assert (state["index"] == length).all()


@torch.no_grad()
def test_imagining_continues_what_training_saw():
    """A step after a clip decodes and judges the next frame from the same features as training."""
    world = make_nano(steps=0)
    model = world.imagination()
    clips = random_clips("discrete", 2, 2 * WINDOW)
    state = model.begin(clips.codes[:, 0])
    for t in range(2 * WINDOW - 2):
        state = model.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])
    after, imagined = model.step(state, clips.actions[:, -1], torch.rand(2, *model.noise_shape))

    told = torch.cat([clips.codes[:, :-1], after["codes"][:, None]], 1)
    whole = encode(model.teco, replace(clips, codes=told))
    last = torch.tensor([1, 2]) * (2 * WINDOW - 1) - 1
    h, z, _, _ = whole.select(last)
    h_local, skip = model.teco.predict(h, *whole.local(last))
    logits = model.teco.decode(h_local, model.teco.empty_z(z), skip)
    assert torch.equal(logits.argmax(-1), after["codes"])
    outcome = model.teco.outcome(h, z)
    torch.testing.assert_close(imagined.reward, outcome.expected_reward(), atol=1e-4, rtol=0)
    torch.testing.assert_close(imagined.termination, outcome.termination.sigmoid())
