"""Reward and termination: symlog, two-hot, and losses that ignore padding."""

import pytest
import torch

from worldmodel_env.models.heads import (
    BINS,
    LIMIT,
    Outcome,
    OutcomeHead,
    bins,
    outcome_losses,
    symexp,
    symlog,
    two_hot,
)

REWARDS = torch.tensor([-100.0, -1.0, -0.3, 0.0, 1e-3, 0.5, 1.0, 42.0, 147.0])


def test_symlog_and_symexp_are_inverse_and_odd() -> None:
    torch.testing.assert_close(symexp(symlog(REWARDS)), REWARDS, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(symlog(-REWARDS), -symlog(REWARDS))
    assert float(symlog(torch.tensor(torch.e - 1))) == pytest.approx(1.0)


def test_two_hot_sits_on_the_two_nearest_bins() -> None:
    weights = two_hot(REWARDS)
    assert weights.shape == (len(REWARDS), BINS)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(REWARDS)))
    assert ((weights > 0).sum(-1) <= 2).all()
    torch.testing.assert_close((weights * bins(weights.device)).sum(-1), symlog(REWARDS))
    assert weights[REWARDS == 0].argmax() == BINS // 2


def test_expected_reward_of_the_target_is_the_reward() -> None:
    logits = two_hot(REWARDS).clamp_min(1e-12).log()
    outcome = Outcome(reward=logits, termination=torch.zeros(len(REWARDS)))
    torch.testing.assert_close(outcome.expected_reward(), REWARDS, rtol=1e-4, atol=1e-5)


def test_rewards_out_of_range_are_clipped() -> None:
    far = two_hot(torch.tensor([1e6, -1e6]))
    assert far[0, -1] == 1
    assert far[1, 0] == 1
    assert float(symexp(torch.tensor(LIMIT))) == pytest.approx(147.4, abs=0.1)


@torch.no_grad()
def test_a_fresh_head_predicts_no_reward() -> None:
    outcome = OutcomeHead(6, 2)(torch.randn(5, 6, 2, 2))
    assert outcome.reward.shape == (5, BINS)
    assert outcome.termination.shape == (5,)
    torch.testing.assert_close(outcome.expected_reward(), torch.zeros(5), atol=1e-6, rtol=0)


def test_losses_ignore_padding() -> None:
    torch.manual_seed(0)
    outcome = Outcome(torch.randn(4, BINS), torch.randn(4))
    rewards, ends = torch.randn(4), torch.tensor([True, False, True, False])
    valid = torch.tensor([True, True, False, False])
    losses = outcome_losses(outcome, rewards, ends, valid)
    alone = outcome_losses(
        Outcome(outcome.reward[:2], outcome.termination[:2]), rewards[:2], ends[:2], valid[:2]
    )
    for name in ("reward", "termination"):
        torch.testing.assert_close(losses[name], alone[name])
    nothing = outcome_losses(outcome, rewards, ends, torch.zeros(4, dtype=torch.bool))
    assert float(nothing["reward"]) == 0


def test_losses_are_least_at_the_truth() -> None:
    rewards, ends = torch.tensor([0.0, 1.0]), torch.tensor([False, True])
    valid = torch.ones(2, dtype=torch.bool)
    right = Outcome(two_hot(rewards).clamp_min(1e-9).log(), torch.tensor([-20.0, 20.0]))
    wrong = Outcome(two_hot(1 - rewards).clamp_min(1e-9).log(), torch.tensor([20.0, -20.0]))
    good, bad = (outcome_losses(o, rewards, ends, valid) for o in (right, wrong))
    assert good["reward"] < bad["reward"] / 5
    assert good["termination"] < 1e-6 < bad["termination"]
