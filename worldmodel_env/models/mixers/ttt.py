"""Test-time training (Sun et al. 2024): the memory is a small model that learns while it is used.

A frame's S tokens are one mini-batch. For each head, with inner weights W and the inner model
f(x; W) = x + LN(g(x; W)):

    W_t = W_{t-1} - 1/S sum_s eta_s dW |f(k_s; W_{t-1}) - v_s|^2 / 2        learn frame t
    y_s = f(q_s; W_t)                                                        then answer

eta_s = base * sigmoid(x_s . theta) / d is learned, and so are LN's weights and the beginning W_0.
All of a frame's tokens being known at once, the mask of the papers' dual form is all ones, and its
product of scores and gradients equals reading with the weights just learned, which are needed
anyway. q and k have length 1, as in One-Minute Video Generation with Test-Time Training (Dalal et
al. 2025).

The state is W - W_0: zero at the beginning, and W_0 goes on learning from clips that continue
others. With forgetting it is first multiplied by sigmoid(mean_s x_s . theta_f + 6.9), about 0.999.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from worldmodel_env.models.mixers.mixer import Mixer, exact

GROUP = 16
"""Frames whose intermediate weights are kept at a time in training; the others' are made again."""

KEEP = 6.9
"""Logit of 0.999."""


class Ttt(Mixer):
    """All but the inner model g, whose packed weights are (R, d)."""

    def __init__(self, dim: int, heads: int, *, rows: int, base: float, forgetting: bool) -> None:
        """`base`: the largest inner learning rate, times d."""
        super().__init__()
        self.heads, self.rows, self.base = heads, rows, base
        width = dim // heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.rate = nn.Linear(dim, heads)
        self.keep = nn.Linear(dim, heads, bias=False) if forgetting else None
        self.initial = nn.Parameter(torch.randn(heads, rows, width) * 0.02)
        self.scale = nn.Parameter(torch.ones(heads, 1, width))
        self.shift = nn.Parameter(torch.zeros(heads, 1, width))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.out = nn.Linear(dim, dim, bias=False)
        for linear in (self.rate, self.keep):
            if linear is not None:
                nn.init.normal_(linear.weight, std=0.02)
        nn.init.zeros_(self.rate.bias)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Mixer`; the state is W - W_0."""
        s, width = x.shape[2], x.shape[3] // self.heads
        rate, keep = self.rate(x), self.keep(x.mean(2)) if self.keep is not None else None
        qkv = self.qkv(x)
        with exact(x):
            # (B, T, heads, S, .)
            parts = qkv.unflatten(3, (3, self.heads, -1)).float().permute(3, 0, 1, 4, 2, 5)
            q, k = F.normalize(parts[:2], dim=-1, eps=1e-6)
            eta = self.base / (width * s) * rate.float().sigmoid().transpose(2, 3)[..., None]
            inputs = [q, k, parts[2], eta]
            if keep is not None:
                inputs.append((keep.float() + KEEP).sigmoid()[..., None, None])
            y, state = self._frames(state, *inputs)
        y = y.transpose(2, 3).flatten(3).to(x.dtype)
        return self.out(self.norm(y)), state

    def learn(
        self, q: Tensor, k: Tensor, v: Tensor, eta: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One frame.

        Args:
            q: (B, heads, S, d), as `k` and `v`.
            k: inputs to learn from.
            v: what f should make of them.
            eta: (B, heads, S, 1), of each token, 1/S included.
            weights: W (B, heads, R, d).

        Returns:
            g(q; W_t) (B, heads, S, d), and W_t - W.
        """
        raise NotImplementedError

    def error(self, z: Tensor, target: Tensor) -> Tensor:
        """The gradient of |LN(z) - target|^2 / 2 with respect to z, (B, heads, S, d)."""
        unit, deviation = _standardised(z)
        scale = self.scale.float()
        g = (scale * unit + self.shift.float() - target) * scale
        return (g - g.mean(-1, keepdim=True) - unit * (g * unit).mean(-1, keepdim=True)) / deviation

    def _frames(self, state: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """All frames of `inputs`, each (B, T, ...); in training with little memory."""
        if not torch.is_grad_enabled() or inputs[0].shape[1] <= GROUP:
            return self._group(state, *inputs)
        read = []
        for group in zip(*(x.split(GROUP, 1) for x in inputs), strict=True):
            y, state = checkpoint(
                self._group, state, *group, use_reentrant=False, preserve_rng_state=False
            )
            read.append(y)
        return torch.cat(read, 1), state

    def _group(self, state: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        read = []
        initial, scale, shift = (p.float() for p in (self.initial, self.scale, self.shift))
        for frame in zip(*(x.unbind(1) for x in inputs), strict=True):
            q, k, v, eta = frame[:4]
            if len(frame) == 5:
                state = frame[4] * state
            z, change = self.learn(q, k, v, eta, initial + state)
            state = state + change
            read.append(q + scale * _standardised(z)[0] + shift)
        return torch.stack(read, 1), state


def with_one(x: Tensor) -> Tensor:
    """(..., d) -> (..., d+1): a channel that is always 1, whose weights are the bias."""
    return F.pad(x, (0, 1), value=1.0)


def _standardised(z: Tensor) -> tuple[Tensor, Tensor]:
    """LN without weights, over the last axis; and the deviation."""
    centred = z - z.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return centred / deviation, deviation
