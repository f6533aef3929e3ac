"""`associative.chunked` by the kernels of flash-linear-attention, where a GPU has them.

The same function (`pip install "worldmodel-env[fla]"`, Yang & Zhang 2024), fused in Triton. Beside
ours, on the CPU with Triton's interpreter in float32, results and gradients differ by 1e-6; a GPU
multiplies float32 as TF32 there, about 1e-3 off.
"""

from importlib.util import find_spec

import torch
from torch import Tensor

WIDEST = 256
"""Channels of a key that the kernels take."""


def usable(k: Tensor) -> bool:
    """Whether keys (B, heads, N, K) are on a GPU with the kernels, and nothing is being traced."""
    if not k.is_cuda or k.shape[-1] > WIDEST or torch.compiler.is_compiling():
        return False
    return find_spec("fla") is not None


def chunked(
    q: Tensor, k: Tensor, v: Tensor, rate: Tensor, decay: Tensor, state: Tensor, *, erase: bool
) -> tuple[Tensor, Tensor]:
    """Arguments and results as of `associative.recurrent`."""
    # The kernels have tokens before heads.
    q, k, v, rate, decay = (x.transpose(1, 2).contiguous() for x in (q, k, v, rate, decay))
    same = {"g": decay, "scale": 1.0, "initial_state": state, "output_final_state": True}
    if erase:
        from fla.ops.gated_delta_rule import chunk_gated_delta_rule

        y, state = chunk_gated_delta_rule(q, k, v, beta=rate, **same)
    else:
        from fla.ops.simple_gla import chunk_simple_gla

        y, state = chunk_simple_gla(q, k, v * rate[..., None], **same)
    return y.transpose(1, 2), state
