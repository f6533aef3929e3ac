"""A decaying matrix that maps keys to values, token by token or chunk by chunk.

For each head, with rows as vectors (k_t, q_t in R^K; v_t, u_t in R^V) and S in R^{K x V}:

    S_t = a_t S_{t-1} + k_t' u_t        a_t = exp(decay_t) in (0, 1]
    o_t = q_t S_t
    u_t = b_t v_t                            write                    (Mamba-2)
    u_t = b_t (v_t - k_t a_t S_{t-1})        erase what k_t held      (Gated DeltaNet)

Within a chunk, with G_t = a_1 .. a_t and D_ts = G_t / G_s for s <= t, the sums are products of
matrices: erasing asks for the solution U of

    (I + strictly lower(b_t D_ts k_t.k_s)) U = b (V - G K S_0)

the WY form of Yang et al. 2024 (Parallelizing Linear Transformers with the Delta Rule over Sequence
Length; Gated Delta Networks); writing needs none (state space duality, Dao & Gu 2024).
"""

import torch
from torch import Tensor

from worldmodel_env.models.mixers import kernels

CHUNK = 64
"""Tokens of a chunk: between the square in tokens and the number of chunks; not of the function."""


def recurrent(
    q: Tensor, k: Tensor, v: Tensor, rate: Tensor, decay: Tensor, state: Tensor, *, erase: bool
) -> tuple[Tensor, Tensor]:
    """Token by token.

    Args:
        q: (B, heads, N, K).
        k: (B, heads, N, K).
        v: (B, heads, N, V).
        rate: b, (B, heads, N).
        decay: log a <= 0, (B, heads, N).
        state: S (B, heads, K, V).
        erase: the delta rule.

    Returns:
        o (B, heads, N, V) and the last S.
    """
    read = []
    for t in range(q.shape[2]):
        key, row = k[:, :, t, None], slice(t, t + 1)
        state = decay[:, :, row, None].exp() * state
        new = v[:, :, row] - key @ state if erase else v[:, :, row]
        state = state + key.transpose(2, 3) @ (rate[:, :, row, None] * new)
        read.append(q[:, :, row] @ state)
    return torch.cat(read, 2), state


def chunked(
    q: Tensor, k: Tensor, v: Tensor, rate: Tensor, decay: Tensor, state: Tensor, *, erase: bool
) -> tuple[Tensor, Tensor]:
    """The same function, chunk by chunk; arguments and results as of `recurrent`."""
    if kernels.usable(k):
        return kernels.chunked(q, k, v, rate, decay, state, erase=erase)
    read = []
    for start in range(0, q.shape[2], CHUNK):
        part = slice(start, start + CHUNK)
        inputs = (x[:, :, part] for x in (q, k, v, rate, decay))
        y, state = _chunk(erase, state, *inputs)
        read.append(y)
    return torch.cat(read, 2), state


def _chunk(
    erase: bool, state: Tensor, q: Tensor, k: Tensor, v: Tensor, rate: Tensor, decay: Tensor
) -> tuple[Tensor, Tensor]:
    total = decay.cumsum(2)
    upper = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
    # Masked before exp, which would overflow above the diagonal.
    ratio = (total[..., None] - total[..., None, :]).masked_fill(upper, -torch.inf).exp()
    since = total.exp()[..., None]
    rate = rate[..., None]
    if erase:
        wanted = rate * (v - since * (k @ state))
        lower = rate * ratio * (k @ k.transpose(2, 3))
        u = torch.linalg.solve_triangular(lower, wanted, upper=False, unitriangular=True)
    else:
        u = rate * v
    y = since * (q @ state) + (ratio * (q @ k.transpose(2, 3))) @ u
    rest = ratio[:, :, -1, :, None]  # of what each token wrote, how much is left in the end
    return y, since[:, :, -1:] * state + (rest * k).transpose(2, 3) @ u
