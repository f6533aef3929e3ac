"""Mamba-2 (Dao & Gu 2024, Transformers are SSMs): a state that forgets and is added to."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodel_env.models.mixers.associative import chunked, recurrent
from worldmodel_env.models.mixers.mixer import Mixer, exact, join_heads, split_heads
from worldmodel_env.models.mixers.rates import Decay

WIDER = 4
"""Rows of a state to its columns: 128 to 32 in the shipped sizes, 128 as published."""


class Mamba2(Mixer):
    """S_t = exp(A dt_t) S_{t-1} + dt_t B_t' x_t, y_t = C_t S_t + skip x_t, for each head.

    B and C are shared by the heads; dt and A are `Decay`'s. Read out through the gate silu(x W_g)
    and RMSNorm.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.rows = heads, WIDER * dim // heads
        self.value = nn.Linear(dim, dim, bias=False)
        self.address = nn.Linear(dim, 2 * self.rows, bias=False)
        self.decay = Decay(dim, heads)
        self.skip = nn.Parameter(torch.ones(heads, 1, 1))
        self.gate = nn.Linear(dim, dim, bias=False)
        self.norm = nn.RMSNorm(dim, eps=1e-6)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Mixer`; the state is S."""
        value, address = F.silu(self.value(x)), F.silu(self.address(x))
        dt, decay = self.decay(x)
        with exact(x):
            v = split_heads(value, self.heads)
            write, read = (split_heads(part, 1) for part in address.chunk(2, -1))
            write, read = (part.expand(-1, self.heads, -1, -1) for part in (write, read))
            form = recurrent if x.shape[1] == 1 else chunked
            y, state = form(read, write, v, dt, decay, state, erase=False)
            y = y + self.skip.float() * v
        y = join_heads(y.to(x.dtype), x.shape[2])
        return self.out(self.norm(y * F.silu(self.gate(x)))), state
