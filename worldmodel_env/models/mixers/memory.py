"""A gated memory beside a layer's attention: what is the same whatever its rule."""

from typing import Literal

import torch
from torch import Tensor, nn

from worldmodel_env.models.mixers.gated_delta import GatedDelta
from worldmodel_env.models.mixers.mamba2 import Mamba2
from worldmodel_env.models.mixers.mixer import Mixer
from worldmodel_env.models.mixers.short_conv import FRAMES, ShortConv
from worldmodel_env.models.mixers.ttt_linear import TttLinear
from worldmodel_env.models.mixers.ttt_mlp import TttMlp

Rule = Literal["gated_delta", "mamba2", "ttt_linear", "ttt_mlp"]


class Memory(nn.Module):
    """Y = X + tanh(alpha) * mix(conv(LN(X))), alpha a number per channel, 0.1 at first.

    The gate of One-Minute Video Generation with Test-Time Training (Dalal et al. 2025), which also
    reads backwards; here time only goes forward. A head's state (rows, d) is its rule's, then its
    channels of the frames that the short convolution looks back on.
    """

    def __init__(self, rule: Rule, dim: int, heads: int, tokens: int, *, forgetting: bool) -> None:
        """`tokens`: S, of a frame."""
        super().__init__()
        self.heads, self.tokens = heads, tokens
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.conv = ShortConv(dim)
        self.mixer = _mixer(rule, dim, heads, forgetting)
        self.alpha = nn.Parameter(torch.full((dim,), 0.1))

    @property
    def rows(self) -> int:
        """Rows of a head's state."""
        return self.mixer.rows + (FRAMES - 1) * self.tokens

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """T frames (B, T, S, D) after a state (B, heads, rows, d); the same of both."""
        kept, past = state.split([self.mixer.rows, (FRAMES - 1) * self.tokens], 2)
        past = past.transpose(1, 2).flatten(2).unflatten(1, (FRAMES - 1, self.tokens))
        y, past = self.conv(self.norm(x), past)
        y, kept = self.mixer(y, kept)
        past = past.flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2)
        return x + self.alpha.tanh() * y, torch.cat([kept, past], 2)


def _mixer(rule: Rule, dim: int, heads: int, forgetting: bool) -> Mixer:
    if rule == "gated_delta":
        return GatedDelta(dim, heads)
    if rule == "mamba2":
        return Mamba2(dim, heads)
    kind = TttLinear if rule == "ttt_linear" else TttMlp
    return kind(dim, heads, forgetting=forgetting)
