"""Gated DeltaNet (Yang, Kautz & Hatamizadeh 2024): a matrix that forgets, erases and writes."""

from torch import Tensor, nn
from torch.nn import functional as F

from worldmodel_env.models.mixers.associative import chunked, recurrent
from worldmodel_env.models.mixers.mixer import Mixer, exact, join_heads, split_heads
from worldmodel_env.models.mixers.rates import Decay, by_head


class GatedDelta(Mixer):
    """S_t = a_t (I - b_t k_t' k_t) S_{t-1} + b_t k_t' v_t, y_t = q_t S_t, for each head.

    One step of gradient descent on |k S - v|^2 / 2 with the rate b_t = sigmoid(x W_b), after
    forgetting. q and k have length 1; a_t is `Decay`'s. Read out through RMSNorm and the gate
    silu(x W_g).
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.rows = heads, dim // heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.rate = nn.Linear(dim, heads, bias=False)
        self.decay = Decay(dim, heads)
        self.gate = nn.Linear(dim, dim, bias=False)
        self.norm = nn.RMSNorm(dim // heads, eps=1e-6)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Mixer`; the state is S."""
        parts = F.silu(self.qkv(x)).chunk(3, -1)
        _, decay = self.decay(x)
        rate = by_head(self.rate(x).float().sigmoid())
        with exact(x):
            q, k, v = (split_heads(part, self.heads) for part in parts)
            q, k = F.normalize(q, dim=-1, eps=1e-6), F.normalize(k, dim=-1, eps=1e-6)
            # A frame's few tokens one by one: runtimes of exported graphs solve no triangles.
            form = recurrent if x.shape[1] == 1 else chunked
            y, state = form(q, k, v, rate, decay, state, erase=True)
        y = join_heads(self.norm(y.to(x.dtype)), x.shape[2])
        return self.out(y * F.silu(self.gate(x))), state
