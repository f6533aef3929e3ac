"""Noise as a hash of (key, step, position): nothing to store, the same on every backend.

A roll-out draws all its randomness here, so that a snapshot needs only the key, a fork with the
same key continues identically, and a row of a batch does not depend on its neighbours.
"""

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def uniform(key: Tensor, step: Tensor, count: int) -> Tensor:
    """Numbers in (0, 1), independent across keys, steps and positions.

    Args:
        key: (B,) int64, non-negative.
        step: (B,) int64, non-negative.
        count: numbers per row.

    Returns:
        (B, count) float32.
    """
    high = (key >> 32) + 0x632BE5AB & _MASK
    row = _mix(_mix(key & _MASK) ^ _mix(high) ^ (step & _MASK))
    position = torch.arange(count, device=key.device)
    bits = _mix(_mix(row[:, None] ^ (position * 0x9E3779B1 & _MASK)))
    # 23 bits and a half: never 0 or 1, exact in float32.
    return ((bits >> 9).float() + 0.5) * 2.0**-23


def _mix(x: Tensor) -> Tensor:
    """A finaliser of 32 bits in int64 arithmetic (products wrap; their low 32 bits are exact)."""
    x = (x ^ (x >> 16)) * 0x21F0AAAD & _MASK
    x = (x ^ (x >> 15)) * 0x735A2D97 & _MASK
    return x ^ (x >> 15)
