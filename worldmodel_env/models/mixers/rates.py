"""How fast a memory forgets, and how strongly it writes, as Mamba-2 begins them."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Decay(nn.Module):
    """dt = softplus(x W + bias) and log a = -exp(log_speed) dt for each head (Dao & Gu 2024).

    At first dt is between 0.001 and 0.1 and the speed between 1 and 16, log-uniform and uniform.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, heads, bias=False)
        dt = torch.exp(torch.empty(heads).uniform_(math.log(1e-3), math.log(1e-1)))
        self.bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # the inverse of softplus
        self.log_speed = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, S, D) -> dt and log a, each (B, heads, T*S) float32."""
        dt = F.softplus(self.linear(x).float() + self.bias.float())
        decay = -self.log_speed.float().exp() * dt
        return by_head(dt), by_head(decay)


def by_head(x: Tensor) -> Tensor:
    """(B, T, S, heads) -> (B, heads, T*S)."""
    return x.flatten(1, 2).transpose(1, 2)
