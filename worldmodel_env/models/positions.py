"""Where and when a token is: turned into keys and queries, or added to inputs."""

import torch
from torch import Tensor


def rotate(x: Tensor, position: Tensor) -> Tensor:
    """RoPE: turn the pairs (first half, second half) of (..., N, d) by `position` (..., N).

    Angles are position * 10000^(-2i/d). Only differences of positions reach the scores.
    """
    half = x.shape[-1] // 2
    rate = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = position[..., None].float() * rate
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """(...) -> (..., dim): sines beside cosines, base 10000 (TECO section 1.5)."""
    rate = 10000.0 ** (-torch.arange(0, dim, 2, device=positions.device) / dim)
    angle = positions[..., None].float() * rate
    return torch.cat([angle.sin(), angle.cos()], -1)
