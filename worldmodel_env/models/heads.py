"""Reward and termination of a transition, read from the frame it leads to."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = 41
LIMIT = 5.0  # symlog units: rewards up to +-147


@dataclass(frozen=True)
class Outcome:
    """Logits of reward bins (..., BINS) and of termination (...)."""

    reward: Tensor
    termination: Tensor

    def expected_reward(self) -> Tensor:
        """Mean of the two-hot distribution, in the simulator's units."""
        return symexp((self.reward.float().softmax(-1) * bins(self.reward.device)).sum(-1))


class OutcomeHead(nn.Module):
    """Symlog two-hot reward (DreamerV3) and termination from (h, z) on the latent grid."""

    def __init__(self, channels: int, grid: int, hidden: int = 128) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 16, 1)
        self.mlp = nn.Sequential(
            nn.Linear(16 * grid * grid, hidden), nn.SiLU(), nn.Linear(hidden, BINS + 1)
        )
        # Start at "no reward, hardly ever an end": so most transitions are, and the episodes of a
        # barely trained world go on.
        last = self.mlp[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        nn.init.constant_(last.bias[BINS:], -5.0)

    def forward(self, features: Tensor) -> Outcome:
        """(B, channels, g, g) -> outcome of B transitions."""
        out = self.mlp(F.silu(self.squeeze(features)).flatten(1))
        return Outcome(reward=out[:, :BINS], termination=out[:, BINS])


def symlog(x: Tensor) -> Tensor:
    """sign(x) log(1 + |x|)."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """The inverse of `symlog`."""
    return x.sign() * x.abs().expm1()


def bins(device: torch.device) -> Tensor:
    """(BINS,) bin centres in symlog units; the middle one is exactly 0."""
    return torch.linspace(-LIMIT, LIMIT, BINS, device=device)


def two_hot(x: Tensor) -> Tensor:
    """Rewards (...) -> weights (..., BINS) on the two nearest bins."""
    position = (symlog(x).clamp(-LIMIT, LIMIT) + LIMIT) * ((BINS - 1) / (2 * LIMIT))
    low = position.floor().clamp_max(BINS - 2)
    weight = (position - low)[..., None]
    index = low.long()
    lower, upper = F.one_hot(index, BINS), F.one_hot(index + 1, BINS)
    return lower * (1 - weight) + upper * weight


def outcome_losses(
    outcome: Outcome, rewards: Tensor, terminations: Tensor, valid: Tensor
) -> dict[str, Tensor]:
    """Cross-entropies over valid transitions; all tensors have one leading shape."""
    weight = valid.float() / valid.sum().clamp_min(1)
    reward = -(two_hot(rewards) * outcome.reward.float().log_softmax(-1)).sum(-1)
    end = F.binary_cross_entropy_with_logits(
        outcome.termination.float(), terminations.float(), reduction="none"
    )
    return {"reward": (reward * weight).sum(), "termination": (end * weight).sum()}
