"""Roll-outs in training: those of the environments, and what is learned from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nano import make_nano
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.imagination.rollout import dream
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.self_rollout import Lengths, roll_out, told_losses
from worldmodel_env.training.teco_loss import teco_losses

BATCH, FRAMES = 3, 12
KEYS = torch.tensor([5, 6, 7])
PLAIN = LossConfig(label_smoothing=0.0)
MEMORIES = pytest.mark.parametrize("memory", ["none", "ttt_linear"])


def make_clips(lengths: tuple[int, ...] = (FRAMES,) * BATCH) -> Clips:
    generator = torch.Generator().manual_seed(0)
    return Clips(
        codes=torch.randint(64, (BATCH, FRAMES, 8, 8), generator=generator),
        actions=torch.randint(3, (BATCH, FRAMES - 1), generator=generator),
        rewards=torch.randn(BATCH, FRAMES - 1, generator=generator),
        terminations=torch.randint(2, (BATCH, FRAMES - 1), generator=generator) > 0,
        valid=torch.arange(FRAMES) < torch.tensor(lengths)[:, None],
    )


def build(*, memory: str = "none", steps: int = 2, **teco: float) -> Imagination:
    """Without z if `steps` is 0, as `z_dropout` then is in training."""
    world = make_nano(memory=memory).imagination(Sampling(steps=steps))
    world.teco.cfg = replace(world.teco.cfg, z_dropout=0.0 if steps else 1.0, **teco)
    return world.requires_grad_(True)


def told(
    world: Imagination, clips: Clips, lengths: Lengths, agreement: float = 0.0
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rollout = roll_out(world, clips, lengths, KEYS)
    return told_losses(world.teco, rollout, PLAIN, agreement, generator)


@pytest.mark.parametrize("steps", [0, 3])
@MEMORIES
def test_a_roll_out_is_what_an_environment_gives_with_the_same_keys(
    memory: str, steps: int
) -> None:
    world: World = make_nano(memory=memory)
    backend = TorchBackend(world, device="cpu", precision="fp32", sampling=Sampling(steps=steps))
    clips = make_clips()
    state = backend.begin(clips.codes[:, 0].numpy())
    seen = roll_out(build(memory=memory, steps=steps), clips, Lengths(1, 6, 0), KEYS).dream
    for t in range(6):
        state, _ = backend.step(state, clips.actions[:, t].numpy(), KEYS)
        assert torch.equal(seen.codes[:, t + 1], state["codes"])
        assert torch.equal(seen.latents[:, t + 1], state["latent"])


@MEMORIES
def test_the_context_is_what_observing_it_gives_and_the_second_pass_what_the_step_predicts(
    memory: str,
) -> None:
    world, clips = build(memory=memory), make_clips()
    lengths = Lengths(context=5, told=3, window=2)
    rollout = roll_out(world, clips, lengths, KEYS)
    with torch.no_grad():
        state = world.begin(clips.codes[:, 0])
        for t in range(1, 5):
            state = world.observe_codes(state, clips.codes[:, t], clips.actions[:, t - 1])
        for name, tensor in rollout.dream.begin.items():
            torch.testing.assert_close(tensor, state[name], atol=1e-5, rtol=1e-5)
        expected = dream(world, state, clips.actions[:, 4:9], KEYS)
        assert torch.equal(expected.codes, rollout.dream.codes)
        assert torch.equal(expected.drawn, rollout.dream.drawn)
        for j in range(lengths.predicted):
            frame = {"codes": expected.codes[:, j], "latent": expected.latents[:, j]}
            past, h, _ = world._advance({**state, **frame}, clips.actions[:, 4 + j])
            torch.testing.assert_close(rollout.h[:, j], h, atol=1e-4, rtol=1e-4)
            state = {**state, **past}


def test_told_is_the_cross_entropy_of_the_step_that_serves() -> None:
    world, clips = build(steps=0), make_clips()
    losses = told(world, clips, Lengths(4, 3, 0))
    with torch.no_grad():
        state = roll_out(world, clips, Lengths(4, 1, 0), KEYS).dream.begin
        total = 0.0
        for t in range(4, 8):
            noise = torch.zeros(BATCH, *world.noise_shape)
            state, guess = world.imagine(state, clips.actions[:, t - 1], noise)
            ce = F.cross_entropy(guess.logits.flatten(0, 2), clips.codes[:, t].flatten())
            total += 64 * ce.item() * (t > 4)  # the first is predicted from recorded frames alone
    assert losses["reconstruction"].item() == pytest.approx(total / 3, rel=1e-4)
    assert losses["kept"] == 1


@MEMORIES
def test_the_gradient_goes_through_one_draw_and_not_into_the_past(memory: str) -> None:
    world, clips = build(memory=memory), make_clips()
    losses = told(world, clips, Lengths(5, 3, 0))
    sum(value for name, value in losses.items() if name != "kept").backward()
    model = world.teco
    for part in (model.temporal, model.prior, model.decoder, model.skip, model.outcome_head):
        assert any(p.grad is not None and p.grad.any() for p in part.parameters())
    # What only the recorded context has been through: the start token, the frame before the first.
    assert model.start.grad is None
    teco_losses(model, clips, PLAIN, torch.Generator().manual_seed(0))[0]["loss"].backward()
    assert model.start.grad is not None
    assert all(p.grad is None for p in world.vqgan.parameters())


def test_frames_count_while_what_was_imagined_agrees_with_the_recording() -> None:
    world, clips = build(steps=0), make_clips()
    rollout = roll_out(world, clips, Lengths(4, 3, 0), KEYS)
    imagined = rollout.dream.codes[:, 1:]
    codes = clips.codes.clone()
    codes[0, 4:7] = imagined[0]  # the first row never leaves the truth, the second soon does
    codes[1, 4] = imagined[1, 0]
    same = roll_out(world, replace(clips, codes=codes), Lengths(4, 3, 0), KEYS)
    agreement = same.agreement(world.teco)
    assert agreement[0].tolist() == [1, 1, 1]
    assert agreement[1, 0] == 1
    assert agreement[1:, 1:].max() < 0.5
    assert agreement[2].max() < 0.5
    losses = told(world, replace(clips, codes=codes), Lengths(4, 3, 0), agreement=0.9)
    assert losses["kept"].item() == pytest.approx(4 / 9)


def test_nothing_is_learned_where_nothing_agrees_or_exists() -> None:
    for clips, agreement in ((make_clips(), 1.0), (make_clips((5, 5, 5)), 0.0)):
        losses = told(build(), clips, Lengths(5, 3, 0), agreement)
        assert all(value == 0 for value in losses.values())


def test_padding_changes_nothing() -> None:
    clips = make_clips((12, 8, 7))
    other = replace(clips, codes=torch.where(clips.valid[..., None, None], clips.codes, 3))
    first, second = (told(build(), c, Lengths(5, 3, 0)) for c in (clips, other))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, msg=name)


@pytest.mark.parametrize(("most", "window"), [(4, 0), (0, 8), (3, 8)])
def test_lengths_fit_into_the_clip_and_reach_all_of_it(most: int, window: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [Lengths.draw(rng, 14, most, window) for _ in range(300)]
    assert {x.told for x in drawn} == (set(range(1, most + 1)) or {0})
    ends = {x.context + max(x.told + 1, x.told + window) for x in drawn}
    assert max(ends) == 14
    assert min(x.context for x in drawn) == 1
