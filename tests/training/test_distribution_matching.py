"""Critics of windows, and what a prior learns from them."""

from copy import deepcopy
from dataclasses import fields

import pytest
import torch
from nano import make_nano
from test_self_rollout import KEYS, build, make_clips
from torch import Tensor, nn

from worldmodel_env.data.clips import Clips
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.critic import CriticConfig, WindowCritic
from worldmodel_env.training.distribution_matching import (
    Windows,
    critic_loss,
    imagined_windows,
    matching_loss,
    recorded_windows,
    remask,
)
from worldmodel_env.training.distribution_matching_critic import critic_optimizer
from worldmodel_env.training.encoded import encode
from worldmodel_env.training.self_rollout import Lengths, SelfRollout, roll_out

SMALL = CriticConfig(frames=4, dim=32, mlp_dim=64, heads=2, layers=1)
ACTIONS = ActionConfig("discrete", choices=(3,))
N_CODES, GRID, N = 32, 4, 4 * 16


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def critic(seed: int = 0) -> WindowCritic:
    torch.manual_seed(seed)
    return WindowCritic(SMALL, ACTIONS, N_CODES, GRID)


def rolled() -> tuple[nn.Module, SelfRollout]:
    world = build()
    return world.teco, roll_out(world, make_clips(), Lengths(3, 2, 4), KEYS)


class Fixed(nn.Module):
    """A critic who finds one code likelier than the others, whatever it sees."""

    n_codes = N_CODES

    def __init__(self, code: int, logit: float) -> None:
        super().__init__()
        self.logits = torch.zeros(N_CODES)
        self.logits[code] = logit

    def forward(self, codes: Tensor, actions: Tensor) -> Tensor:
        return self.logits.expand(len(codes), codes[0].numel(), N_CODES)


def test_recorded_windows_are_the_latent_codes_of_the_clips() -> None:
    model, clips = make_nano().imagination().teco, make_clips((12, 12, 9))
    windows = recorded_windows(model, clips)
    with torch.no_grad():
        assert torch.equal(windows.codes.flatten(0, 1), encode(model, clips).z_codes)
    assert windows.whole.tolist() == [True, True, False]
    assert windows.actions is clips.actions


def test_imagined_windows_are_the_last_frames_with_the_actions_that_led_to_them() -> None:
    _, rollout = rolled()
    windows = imagined_windows(rollout)
    assert torch.equal(windows.codes, rollout.dream.drawn[:, 2:6])
    assert torch.equal(windows.actions, rollout.clips.actions[:, 4:8])
    cut = Lengths(3, 2, 4)
    for length, whole in ((9, True), (8, False)):  # the last of the window is frame 8
        clips = make_clips((length,) * 3)
        windows = imagined_windows(roll_out(build(), clips, cut, KEYS))
        assert windows.whole.tolist() == [whole] * 3


def test_masks_hide_what_the_cosine_says() -> None:
    codes = torch.zeros(3, 4, GRID, GRID, dtype=torch.int64)
    windows = Windows(codes, torch.zeros(3, 4, dtype=torch.int64), torch.ones(3) > 0)
    numbers = uniform(3, 1 + N)
    numbers[:, 0] = torch.tensor([0.0, 0.5, 0.9999])
    seen, hidden = remask(windows, N_CODES, numbers)
    assert hidden.sum(1).tolist() == [N, 45, 1]
    assert torch.equal(seen.flatten(1) == N_CODES, hidden)


def test_a_critic_learns_what_goes_together_and_ignores_windows_that_end_early() -> None:
    model, optimizer = critic(), None
    optimizer = critic_optimizer(model, 3e-3)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for step in range(40):
        actions = torch.randint(3, (16, 4), generator=generator)
        # Each frame shows its action, but for rows that are to be ignored.
        codes = actions[:, :, None, None].expand(-1, -1, GRID, GRID).clone()
        codes[12:] = torch.randint(N_CODES, codes[12:].shape, generator=generator)
        windows = Windows(codes, actions, torch.arange(16) < 12)
        loss = critic_loss(model, windows, uniform(16, 1 + N, seed=step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(3.5, abs=0.4)  # ln 32
    assert losses[-1] < 0.2


def test_the_gradient_reaches_what_predicts_and_neither_critics_nor_what_was_drawn() -> None:
    model, rollout = rolled()
    own, data = critic(1), critic(2)
    matching_loss(model, rollout, data, own, uniform(3, 1 + N)).backward()
    for part in (model.prior, model.temporal, model.skip):
        assert any(p.grad is not None and p.grad.any() for p in part.parameters())
    silent = (model.encoder, model.codebook, model.decoder, own, data)
    assert all(p.grad is None for part in silent for p in part.parameters())


def test_equal_critics_ask_for_nothing_and_others_for_less_of_what_is_too_frequent() -> None:
    model, rollout = rolled()
    numbers = uniform(3, 1 + N)
    same = critic(1)
    assert matching_loss(model, rollout, same, same, numbers) == 0
    loss = matching_loss(model, rollout, Fixed(7, 0.0), Fixed(7, 2.0), numbers)
    loss.backward()
    bias = model.prior.bias.grad
    assert bias[7] > 0  # a step of gradient descent makes code 7 rarer
    assert (bias[torch.arange(N_CODES) != 7] < 0).all()


def test_windows_that_end_early_count_nothing() -> None:
    world = build()
    rollout = roll_out(world, make_clips((5, 5, 5)), Lengths(3, 2, 4), KEYS)
    assert matching_loss(world.teco, rollout, critic(1), critic(2), uniform(3, 1 + N)) == 0


def test_what_is_drawn_becomes_what_was_recorded() -> None:
    """Recorded windows show one of 8 codes everywhere; a fresh prior draws any of 32 anywhere."""
    world, clips = build(), make_clips()
    clips = Clips(*(torch.cat([getattr(clips, f.name)] * 4) for f in fields(clips)))
    actions = clips.actions[:, :4]
    data, generator = critic(), torch.Generator().manual_seed(0)
    optimizer = critic_optimizer(data, 3e-3)
    for step in range(40):
        codes = torch.randint(8, (12, 1, 1, 1), generator=generator).expand(-1, 4, GRID, GRID)
        windows = Windows(codes, actions, torch.ones(12) > 0)
        optimizer.zero_grad()
        critic_loss(data, windows, uniform(12, 1 + N, seed=step)).backward()
        optimizer.step()
    data.requires_grad_(False)
    own = deepcopy(data).requires_grad_(True)
    follows = critic_optimizer(own, 3e-3)
    learns = torch.optim.AdamW(world.teco.prior.parameters(), lr=5e-3, betas=(0.0, 0.999))
    shares = []
    for step in range(30):
        keys = 12 * step + torch.arange(12)
        rollout = roll_out(world, clips, Lengths(2, 0, 4), keys)
        windows = imagined_windows(rollout)
        shares.append((windows.codes < 8).float().mean().item())
        for update in range(5):
            follows.zero_grad()
            critic_loss(own, windows, uniform(12, 1 + N, seed=5 * step + update)).backward()
            follows.step()
        learns.zero_grad()
        matching_loss(world.teco, rollout, data, own, uniform(12, 1 + N, seed=step)).backward()
        learns.step()
    assert shares[0] < 0.4
    assert shares[-1] > 0.8, shares
