"""TTT-Linear (Sun et al. 2024): the inner model is a linear map."""

from torch import Tensor, nn

from worldmodel_env.models.mixers.ttt import Ttt, with_one


class TttLinear(Ttt):
    """g(x; W) = x W + b; the state is W with b below it, R = d + 1."""

    def __init__(self, dim: int, heads: int, *, forgetting: bool = False) -> None:
        width = dim // heads
        super().__init__(dim, heads, rows=width + 1, base=1.0, forgetting=forgetting)
        nn.init.zeros_(self.initial[:, width:])

    def learn(
        self, q: Tensor, k: Tensor, v: Tensor, eta: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Ttt`."""
        inputs = with_one(k)
        g = eta * self.error(inputs @ weights, v - k)
        change = -inputs.transpose(2, 3) @ g
        return with_one(q) @ (weights + change), change
