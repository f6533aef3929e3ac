"""Clips that hold the model's own predictions."""

from dataclasses import replace

import pytest
import torch
from test_teco_loss import ALL_FRAMES, CONFIG, PLAIN, build, loss, make_clips

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training.encoded import encode, posterior
from worldmodel_env.training.self_resampling import chosen_frames, self_resampled
from worldmodel_env.training.teco_loss import teco_losses

HALF = replace(ALL_FRAMES, self_resampling=0.5)
FIRST = replace(CONFIG, first_frame=True)


def resample(
    config: TecoConfig, frames: torch.Tensor, *, without_z: bool, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    model, clips = build(config), make_clips()
    shown = torch.ones(3, 6, dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(3, frames.shape[1], 2, config.grid**2, generator=generator)
    bare = torch.full(frames.shape, without_z)
    return clips.codes, self_resampled(model, clips, shown, frames, bare, noise).codes


@pytest.mark.parametrize("config", [CONFIG, FIRST], ids=["nano", "first_frame"])
def test_chosen_frames_are_what_a_roll_out_imagines_after_the_recorded_ones(
    config: TecoConfig,
) -> None:
    frames = torch.tensor([[1, 4], [3, 6], [2, 5]])
    recorded, resampled = resample(config, frames, without_z=True)
    model, clips = build(config), make_clips()
    world = Imagination(Vqgan(load_preset("nano").vqgan), model, Sampling(steps=0)).eval()
    with torch.no_grad():
        for row, chosen in enumerate(frames.tolist()):
            state = world.begin(clips.codes[row : row + 1, 0])
            for t in range(1, 7):
                action = clips.actions[row : row + 1, t - 1]
                ours, _ = world.step(state, action, torch.rand(1, *world.noise_shape))
                expected = ours["codes"][0] if t in chosen else clips.codes[row, t]
                # Rounding may turn a near tie between random weights' logits.
                assert (resampled[row, t] == expected).float().mean() > 0.95
                state = world.observe_codes(state, clips.codes[row : row + 1, t], action)
    assert torch.equal(resampled[:, 0], recorded[:, 0])


@pytest.mark.parametrize("config", [CONFIG, replace(PLAIN, reencode=True)], ids=["nano", "plain"])
def test_z_is_drawn_from_the_prior_unless_frames_go_without(config: TecoConfig) -> None:
    frames = torch.tensor([[1, 2, 3, 4, 5, 6]] * 3)
    for without_z in (False, True):
        _, first = resample(config, frames, without_z=without_z, seed=1)
        _, second = resample(config, frames, without_z=without_z, seed=2)
        assert torch.equal(first, second) is without_z


def test_frames_are_chosen_among_those_that_exist() -> None:
    clips = make_clips((7, 4, 7))
    frames = chosen_frames(clips, 0.5, torch.rand(3, 6, generator=torch.Generator().manual_seed(0)))
    assert frames.shape == (3, 3)
    assert frames.min() >= 1
    assert set(frames[1].tolist()) == {1, 2, 3}
    assert all(len(set(row)) == 3 for row in frames.tolist())


def test_nothing_is_replaced_unless_asked() -> None:
    clips = make_clips()
    assert chosen_frames(clips, 0.0, torch.rand(3, 6)).shape == (3, 0)
    model = build()
    assert torch.equal(loss(model, clips)["loss"], loss(model, clips)["loss"])
    assert not torch.equal(loss(model, clips)["loss"], loss(model, clips, HALF)["loss"])


@pytest.mark.parametrize("config", [CONFIG, replace(PLAIN, reencode=True, first_frame=True)])
def test_the_shares_of_a_divided_batch_add_up(config: TecoConfig) -> None:
    model, clips = build(config), make_clips((7, 2, 7, 4, 1))
    whole = loss(model, clips, HALF)
    parts = [
        teco_losses(model, clips, HALF, torch.Generator().manual_seed(0), rows)[0]
        for rows in (slice(0, 2), slice(2, 5))
    ]
    for name, value in whole.items():
        torch.testing.assert_close(
            sum(part[name] for part in parts), value, atol=1e-4, rtol=1e-4, msg=name
        )


def test_the_posterior_of_single_frames_is_the_one_of_whole_clips() -> None:
    model, clips = build(FIRST), make_clips()
    with torch.no_grad():
        encoded = encode(model, clips)
        z, codes = posterior(model, encoded.previous, encoded.target)
    assert torch.equal(codes, encoded.z_codes)
    torch.testing.assert_close(z, encoded.z, atol=1e-5, rtol=1e-5)


def test_a_model_that_does_not_read_frames_again_is_refused() -> None:
    with pytest.raises(InputError, match="reencode"):
        loss(build(replace(CONFIG, reencode=False)), make_clips(), HALF)
