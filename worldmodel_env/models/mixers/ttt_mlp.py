"""TTT-MLP (Sun et al. 2024): the inner model is a network with one hidden layer."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodel_env.models.mixers.ttt import Ttt, with_one

WIDER = 4


class TttMlp(Ttt):
    """g(x; W) = gelu(x W1 + b1) W2 + b2, four times as wide inside.

    The state is W1 over b1, cut into rows of d, then W2 over b2: R = 4 (d + 1) + 4 d + 1.
    """

    def __init__(self, dim: int, heads: int, *, forgetting: bool = False) -> None:
        width = dim // heads
        self.first = WIDER * (width + 1)
        rows = self.first + WIDER * width + 1
        super().__init__(dim, heads, rows=rows, base=0.1, forgetting=forgetting)
        nn.init.zeros_(self.initial[:, WIDER * width : self.first])
        nn.init.zeros_(self.initial[:, -1:])

    def learn(
        self, q: Tensor, k: Tensor, v: Tensor, eta: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Ttt`."""
        w1, w2 = self.unpacked(weights)
        inputs = with_one(k)
        z = inputs @ w1
        hidden = with_one(_gelu(z))
        g2 = eta * self.error(hidden @ w2, v - k)
        g1 = g2 @ w2[:, :, :-1].transpose(2, 3) * _slope(z)
        change1, change2 = -inputs.transpose(2, 3) @ g1, -hidden.transpose(2, 3) @ g2
        read = with_one(_gelu(with_one(q) @ (w1 + change1))) @ (w2 + change2)
        return read, torch.cat([change1.reshape_as(weights[:, :, : self.first]), change2], 2)

    def unpacked(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """(B, heads, R, d) -> W1 over b1 (B, heads, d+1, 4d) and W2 over b2 (B, heads, 4d+1, d)."""
        width = weights.shape[-1]
        first = weights[:, :, : self.first].unflatten(2, (width + 1, WIDER)).flatten(3)
        return first, weights[:, :, self.first :]


def _gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def _slope(x: Tensor) -> Tensor:
    """The derivative of `_gelu`."""
    c = math.sqrt(2 / math.pi)
    t = torch.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * c * x * (1 - t.square()) * (1 + 3 * 0.044715 * x.square())
